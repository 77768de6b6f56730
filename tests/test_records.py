"""What `Record` gives is what dataclasses give."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, dataclass, field, replace

import pytest

from mnnlite.records import Record


@dataclass(frozen=True)
class Plain:
    name: str
    size: tuple[int, int] = (1, 2)
    note: str = field(default="", compare=False)
    hidden: int = field(default=0, repr=False)


@dataclass(frozen=True, eq=False, repr=False)
class Shared(Record):
    name: str
    size: tuple[int, int] = (1, 2)
    note: str = field(default="", compare=False)
    hidden: int = field(default=0, repr=False)


@dataclass(frozen=True, eq=False, repr=False)
class Other(Shared):
    more: int = 0


VALUES = [("a",), ("a", (1, 2)), ("a", (1, 2), "note"), ("a", (1, 2), "", 7), ("b",), ("a", (2, 1))]


def test_record__equality_hash_and_text_are_a_dataclasses() -> None:
    for first in VALUES:
        assert repr(Shared(*first)) == repr(Plain(*first)).replace("Plain", "Shared")
        for second in VALUES:
            assert (Shared(*first) == Shared(*second)) is (Plain(*first) == Plain(*second))
            assert (hash(Shared(*first)) == hash(Shared(*second))) is (hash(Plain(*first)) == hash(Plain(*second)))


def test_record__another_class_is_never_equal() -> None:
    assert Shared("a") != Other("a")
    assert Other("a") != Shared("a")
    assert Shared("a") != Plain("a")
    assert Shared("a") != ("a", (1, 2))
    assert Other("a", more=1) != Other("a", more=2)


def test_record__is_frozen_and_is_copied_whole() -> None:
    record = Other("a", (3, 4), "note", 5, 6)
    with pytest.raises(FrozenInstanceError):
        record.name = "b"  # type: ignore[misc]
    for copied in (copy.deepcopy(record), pickle.loads(pickle.dumps(record)), replace(record, more=6)):
        assert copied == record
        assert hash(copied) == hash(record)
        assert copied.note == "note"


def test_record__those_that_a_runtime_starts_with_are_records() -> None:
    """Each frozen dataclass that is none costs the start of every process three more methods to compile."""
    from helpers.child import run_python

    found = run_python(
        """
        import dataclasses, sys
        import mnnlite
        mnnlite.Runtime().close()
        mnnlite.decoders.families()
        for name, module in list(sys.modules.items()):
            if name.startswith("mnnlite."):
                for each in vars(module).values():
                    if isinstance(each, type) and each.__module__ == name and "__dataclass_params__" in vars(each):
                        if each.__dataclass_params__.frozen and {"__eq__", "__repr__"} & set(vars(each)):
                            print(name, each.__name__)
        """
    )
    assert found.stdout == ""
