#include "engine/verify.hpp"

#include <new>
#include <set>
#include <string>
#include <vector>

#include "engine/verify_operator.hpp"
#include "engine/verify_reader.hpp"

namespace mnnlite {
namespace {

// clang-format off: a table's fields, as the format numbers them
enum {
  biz_code, describes, extra_info, operators, output_names, forward_type, source_type, tensor_names, tensor_number,
  usage
};
// clang-format on
enum { op_inputs, op_attribute_type, op_attribute, op_name, op_outputs, op_type, op_format, op_external };

constexpr int32_t kMostTensors = 1 << 22;

// Whether a text is UTF-8 (RFC 3629): names become strings of Python.
bool is_utf8(const std::string& text) {
  for (size_t i = 0; i < text.size();) {
    const uint8_t lead = static_cast<uint8_t>(text[i]);
    const size_t length = lead < 0x80                   ? 1
                          : lead >= 0xc2 && lead < 0xe0 ? 2
                          : lead >= 0xe0 && lead < 0xf0 ? 3
                          : lead >= 0xf0 && lead < 0xf5 ? 4
                                                        : 0;
    if (length == 0 || length > text.size() - i) return false;
    for (size_t next = 1; next < length; ++next)
      if ((static_cast<uint8_t>(text[i + next]) & 0xc0) != 0x80) return false;
    const uint8_t second = length > 1 ? static_cast<uint8_t>(text[i + 1]) : 0x80;
    if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) || (lead == 0xf0 && second < 0x90) ||
        (lead == 0xf4 && second > 0x8f))
      return false;
    i += length;
  }
  return true;
}

// Operators whose outputs are as long as the values of their inputs make them.
bool shapes_depend_on_content(int32_t type) {
  return type == kNonMaxSuppression || type == kNonMaxSuppressionV2 || type == kWhere || type == kUnique ||
         type == kSetDiff1D;
}

// Operators that make of a tensor's shape what does not depend on its values.
bool reads_shapes_only(int32_t type) { return type == kShape || type == kRank || type == kSize; }

// Which input the engine reads while it plans without making sure that it is there; UINT32_MAX: none.
uint32_t constant_input(int32_t type) {
  return type == kGatherElements ? 2 : type == kScatterElements ? 3 : UINT32_MAX;
}

class Network {
 public:
  Network(const Record& net, const VerifyOptions& options) : net_(net), options_(options) {
    external_.available = options.external_bytes;
  }

  Status check(VerifiedModel& result) {
    if (!net_.has(operators) || net_.records(operators) == 0) return broken("it has no operators");
    if (!net_.has(tensor_names)) return broken("its tensors have no names");
    tensors_ = net_.records(tensor_names);
    if (tensors_ > kMostTensors) return broken("it has more tensors than a network can have");
    for (uint32_t tensor = 0; tensor < tensors_; ++tensor)
      if (!is_utf8(net_.text(tensor_names, tensor))) return broken("a tensor's name is not UTF-8");
    made_.assign(tensors_, kNobody);
    of_content_.assign(tensors_, 0);
    MNNLITE_TRY(check_describes());
    const uint32_t count = net_.records(operators);
    for (uint32_t index = 0; index < count; ++index) MNNLITE_TRY(check_operator(index));
    if (external_.missing)
      return Status::error(
          Code::model_format,
          "the model's weights are in a file of their own, which is not there; it lies beside the model as "
          "<model>.weight, or say external=");
    if (external_.beyond)
      return Status::error(Code::model_format,
                           "the file with the model's weights is cut: %lld bytes, and the model reads up to %lld",
                           static_cast<long long>(options_.external_bytes), static_cast<long long>(external_.used));
    MNNLITE_TRY(check_content());
    result.operators = count;
    result.tensors = tensors_;
    result.external_bytes = external_.used;
    return {};
  }

 private:
  static Status broken(const char* what) { return Status::error(Code::model_format, "a damaged MNN model: %s", what); }

  Status fault(uint32_t index, const Record& op, Fault what) const {
    char type[32];
    return Status::error(Code::model_format, "a damaged MNN model: operator %u \"%s\" (%s): %s", index,
                         printable(op.text(op_name)).c_str(), operator_name(op.number(op_type), type), what);
  }

  Status check_describes() {
    const bool is_static = net_.scalar<uint8_t>(usage, 0) == 2;  // shapes and regions are in the file
    if (is_static && !net_.has(describes)) return broken("its tensors are not described");
    for (uint32_t i = 0; i < net_.records(describes); ++i) {
      enum { values, index, name, regions };
      enum { from, to, size, origin };
      const Record each = net_.record(describes, i);
      const int32_t tensor = each.number(index);
      if (tensor < 0 || static_cast<uint32_t>(tensor) >= tensors_)
        return broken("it describes a tensor that is not there");
      if (!is_static) continue;
      if (each.has(values) && each.record(values).values<int32_t>(0).size() > kMostAxes)
        return broken("a tensor has more axes than the engine allows");
      for (uint32_t region = 0; region < each.records(regions); ++region) {
        const Record part = each.record(regions, region);
        const int32_t source = part.number(origin);
        if (source < 0 || static_cast<uint32_t>(source) >= tensors_ || part.values<int32_t>(size).size() < 3 ||
            part.record(from).values<int32_t>(1).size() < 3 || part.record(to).values<int32_t>(1).size() < 3)
          return broken("a region of a tensor is not whole");
      }
    }
    return {};
  }

  Status check_operator(uint32_t index) {
    const Record record = net_.record(operators, index);
    Operator op;
    op.type = record.number(op_type);
    op.inputs = record.values<int32_t>(op_inputs);
    op.outputs = record.values<int32_t>(op_outputs);
    op.named = record.has(op_name);
    const uint8_t attribute = record.scalar<uint8_t>(op_attribute_type, 0);
    if (attribute != 0 && !record.has(op_attribute)) return fault(index, record, "its attribute is missing");
    if (attribute >= 1 && attribute <= kAttributes) {
      op.attribute = static_cast<T>(attribute - 1);
      op.record = record.record(op_attribute);
    }
    const int32_t last = options_.last_type < 0 ? kLastKnown : options_.last_type;
    if (op.type < 0 || op.type > last) return fault(index, record, "the engine has no such operator");
    if (!record.has(op_outputs)) return fault(index, record, "it has no outputs");
    if (record.has(op_external))
      return fault(index, record, "it names a file; a model's weights are in the model, or in one file beside it");
    for (const auto& tensors : {op.inputs, op.outputs})
      for (uint32_t i = 0; i < tensors.size(); ++i)
        if (tensors[i] < 0 || static_cast<uint32_t>(tensors[i]) >= tensors_)
          return fault(index, record, "it uses a tensor that is not there");
    if (const OperatorFacts* facts = operator_facts(op.type)) {
      if (Fault what = check_counts(op, *facts, attribute)) return fault(index, record, what);
      if (Fault what = check_attribute(op, external_)) return fault(index, record, what);
    }
    if (!is_utf8(record.text(op_name))) return fault(index, record, "its name is not UTF-8");
    bool content = op.type == kInput;
    for (uint32_t i = 0; i < op.inputs.size(); ++i) {
      const size_t tensor = static_cast<size_t>(op.inputs[i]);
      if (made_[tensor] == kNobody) return fault(index, record, "it reads a tensor that nothing before it has made");
      content = content || of_content_[tensor];
    }
    if (const uint32_t input = constant_input(op.type); input < op.inputs.size()) {
      const uint32_t maker = made_[static_cast<size_t>(op.inputs[input])];
      if (net_.record(operators, maker).number(op_type) != kConst)
        return fault(index, record, "its axis is not a constant");
    }
    if (op.type == kInput && !input_names_.insert(net_.text(tensor_names, static_cast<uint32_t>(op.outputs[0]))).second)
      return fault(index, record, "another input of the network has its name");
    for (uint32_t i = 0; i < op.outputs.size(); ++i) {
      const size_t tensor = static_cast<size_t>(op.outputs[i]);
      if (made_[tensor] != kNobody) return fault(index, record, "it makes a tensor that is there already");
      made_[tensor] = index;
      of_content_[tensor] = content && !reads_shapes_only(op.type);
    }
    return {};
  }

  // Which operators the wanted outputs need, and whether one of them has no fixed shape.
  Status check_content() const {
    std::vector<uint8_t> needed(made_.size(), options_.outputs.empty());
    for (uint32_t tensor = 0; tensor < tensors_; ++tensor)
      for (const std::string& name : options_.outputs)
        if (net_.text(tensor_names, tensor) == name) needed[tensor] = 1;
    for (uint32_t index = net_.records(operators); index-- > 0;) {
      const Record op = net_.record(operators, index);
      const auto inputs = op.values<int32_t>(op_inputs), outputs = op.values<int32_t>(op_outputs);
      bool wanted = false, content = false;
      for (uint32_t i = 0; i < outputs.size(); ++i) wanted = wanted || needed[static_cast<size_t>(outputs[i])];
      for (uint32_t i = 0; wanted && i < inputs.size(); ++i) {
        needed[static_cast<size_t>(inputs[i])] = 1;
        content = content || of_content_[static_cast<size_t>(inputs[i])];
      }
      if (wanted && content && shapes_depend_on_content(op.number(op_type))) {
        char type[32];
        return Status::error(Code::unsupported_model,
                             "shapes depend on values from operator %u \"%.40s\" (%s) on; cut before it: %s", index,
                             printable(op.text(op_name)).c_str(), operator_name(op.number(op_type), type),
                             cut_before(inputs).c_str());
      }
    }
    return {};
  }

  // outputs=[...] with what an operator reads of the network's content.
  std::string cut_before(const Values<int32_t>& inputs) const {
    std::string text = "outputs=[";
    for (uint32_t i = 0; i < inputs.size(); ++i) {
      if (!of_content_[static_cast<size_t>(inputs[i])]) continue;
      text += (text.back() == '[' ? "\"" : ", \"") +
              printable(net_.text(tensor_names, static_cast<uint32_t>(inputs[i]))) + "\"";
    }
    return text + "]";
  }

  static Fault check_counts(const Operator& op, const OperatorFacts& facts, uint8_t attribute) {
    const auto fits = [](uint32_t count, int8_t least, int8_t most) {
      return count >= static_cast<uint32_t>(least) && (most < 0 || count <= static_cast<uint32_t>(most));
    };
    if (!fits(op.inputs.size(), facts.least_inputs, facts.most_inputs)) return "it has a wrong number of inputs";
    if (!fits(op.outputs.size(), facts.least_outputs, facts.most_outputs)) return "it has a wrong number of outputs";
    if (attribute == 0) return facts.attribute_needed ? "its attribute is missing" : nullptr;
    if (facts.attributes[0] == kAnyAttribute || attribute > kAttributes) return nullptr;
    return op.attribute == facts.attributes[0] || (op.attribute == facts.attributes[1] && op.attribute != T::count)
               ? nullptr
               : "its attribute is another operator's";
  }

  static constexpr uint32_t kNobody = UINT32_MAX;

  const Record net_;
  const VerifyOptions options_;
  ExternalBytes external_;
  uint32_t tensors_ = 0;
  std::vector<uint32_t> made_;  // by which operator
  std::set<std::string> input_names_;
  std::vector<uint8_t> of_content_;  // whether a tensor's values depend on the values of the network's inputs
};

}  // namespace

std::string printable(const std::string& name) {
  std::string text;
  for (const char letter : name) {
    if (text.size() >= 60) break;
    text += letter >= 0x20 && letter < 0x7f ? letter : '?';
  }
  return text;
}

Status verify_model(const void* data, size_t size, const VerifyOptions& options, VerifiedModel& result) noexcept try {
  Record net;
  MNNLITE_TRY(walk_model(static_cast<const uint8_t*>(data), size, net));
  return Network(net, options).check(result);
} catch (const std::bad_alloc&) {
  return Status::error(Code::out_of_memory, "no memory to verify a model of %zu bytes", size);
}

}  // namespace mnnlite
