#include "engine/verify.hpp"

#include <new>
#include <vector>

#include "engine/verify_operator.hpp"
#include "engine/verify_reader.hpp"

namespace mnnlite {
namespace {

enum { biz_code, describes, extra_info, operators, output_names, forward_type, source_type, tensor_names, tensor_number, usage };
enum { op_inputs, op_attribute_type, op_attribute, op_name, op_outputs, op_type, op_format, op_external };

constexpr int32_t kMostTensors = 1 << 22;

// A name from a file, short, without what a terminal would act on.
std::string shown(const std::string& name) {
  std::string text;
  for (const char letter : name) {
    if (text.size() >= 60) break;
    text += letter >= 0x20 && letter < 0x7f ? letter : '?';
  }
  return text;
}

class Network {
 public:
  Network(const Record& net, const VerifyOptions& options) : net_(net), options_(options) { external_.available = options.external_bytes; }

  Status check(VerifiedModel& result) {
    if (!net_.has(operators) || net_.records(operators) == 0) return broken("it has no operators");
    if (!net_.has(tensor_names)) return broken("its tensors have no names");
    tensors_ = net_.records(tensor_names);
    if (tensors_ > kMostTensors) return broken("it has more tensors than a network can have");
    produced_.assign(tensors_, 0);
    MNNLITE_TRY(check_describes());
    const uint32_t count = net_.records(operators);
    for (uint32_t index = 0; index < count; ++index) MNNLITE_TRY(check_operator(index));
    if (external_.missing)
      return Status::error(Code::model_format, "the model's weights are in a file of their own, which is not there; it lies beside the model as "
                           "<model>.weight, or say external=");
    if (external_.beyond)
      return Status::error(Code::model_format, "the file with the model's weights is cut: %lld bytes, and the model reads up to %lld",
                           static_cast<long long>(options_.external_bytes), static_cast<long long>(external_.used));
    result.operators = count;
    result.tensors = tensors_;
    result.external_bytes = external_.used;
    return {};
  }

 private:
  static Status broken(const char* what) { return Status::error(Code::model_format, "a damaged MNN model: %s", what); }

  Status fault(uint32_t index, const Record& op, Fault what) const {
    char type[32];
    return Status::error(Code::model_format, "a damaged MNN model: operator %u \"%s\" (%s): %s", index, shown(op.text(op_name)).c_str(),
                         operator_name(op.number(op_type), type), what);
  }

  Status check_describes() {
    const bool is_static = net_.scalar<uint8_t>(usage, 0) == 2;  // shapes and regions are in the file
    if (is_static && !net_.has(describes)) return broken("its tensors are not described");
    for (uint32_t i = 0; i < net_.records(describes); ++i) {
      enum { values, index, name, regions };
      enum { from, to, size, origin };
      const Record each = net_.record(describes, i);
      const int32_t tensor = each.number(index);
      if (tensor < 0 || static_cast<uint32_t>(tensor) >= tensors_) return broken("it describes a tensor that is not there");
      if (!is_static) continue;
      if (each.has(values) && each.record(values).values<int32_t>(0).size() > kMostAxes) return broken("a tensor has more axes than the engine allows");
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
    if (record.has(op_external)) return fault(index, record, "it names a file; a model's weights are in the model, or in one file beside it");
    for (const auto& tensors : {op.inputs, op.outputs})
      for (uint32_t i = 0; i < tensors.size(); ++i)
        if (tensors[i] < 0 || static_cast<uint32_t>(tensors[i]) >= tensors_) return fault(index, record, "it uses a tensor that is not there");
    if (const OperatorFacts* facts = operator_facts(op.type)) {
      if (Fault what = check_counts(op, *facts, attribute)) return fault(index, record, what);
      if (Fault what = check_attribute(op, external_)) return fault(index, record, what);
    }
    for (uint32_t i = 0; i < op.inputs.size(); ++i)
      if (!produced_[static_cast<size_t>(op.inputs[i])]) return fault(index, record, "it reads a tensor that nothing before it has made");
    for (uint32_t i = 0; i < op.outputs.size(); ++i) produced_[static_cast<size_t>(op.outputs[i])] = 1;
    return {};
  }

  static Fault check_counts(const Operator& op, const OperatorFacts& facts, uint8_t attribute) {
    const auto fits = [](uint32_t count, int8_t least, int8_t most) {
      return count >= static_cast<uint32_t>(least) && (most < 0 || count <= static_cast<uint32_t>(most));
    };
    if (!fits(op.inputs.size(), facts.least_inputs, facts.most_inputs)) return "it has a wrong number of inputs";
    if (!fits(op.outputs.size(), facts.least_outputs, facts.most_outputs)) return "it has a wrong number of outputs";
    if (attribute == 0) return facts.attribute_needed ? "its attribute is missing" : nullptr;
    if (facts.attributes[0] == T::count) return nullptr;
    return op.attribute == facts.attributes[0] || (op.attribute == facts.attributes[1] && op.attribute != T::count) ? nullptr
                                                                                                               : "its attribute is another operator's";
  }

  const Record net_;
  const VerifyOptions options_;
  ExternalBytes external_;
  uint32_t tensors_ = 0;
  std::vector<uint8_t> produced_;
};

}  // namespace

Status verify_model(const void* data, size_t size, const VerifyOptions& options, VerifiedModel& result) noexcept try {
  Record net;
  MNNLITE_TRY(walk_model(static_cast<const uint8_t*>(data), size, net));
  return Network(net, options).check(result);
} catch (const std::bad_alloc&) {
  return Status::error(Code::out_of_memory, "no memory to verify a model of %zu bytes", size);
}

}  // namespace mnnlite
