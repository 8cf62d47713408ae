"""The check of arguments against the types of their parameters, with the ranges of `ranges`.

A config's values are checked by `violation` before anything is built. For those who build objects
themselves, subclasses of `CheckedArguments` and whatever `checks_arguments` decorates do the same.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import cache, wraps
from types import NoneType, SimpleNamespace
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    NamedTuple,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from avrobust.ranges import (
    CONTAINERS,
    LARGEST,
    NUMBERS,
    UNIONS,
    describe_type,
    leaves,
    literal_choices,
)

if TYPE_CHECKING:  # --help imports this without pydantic
    from pydantic import TypeAdapter, ValidationError

T = TypeVar("T", bound=Callable[..., Any])


class Violation(NamedTuple):
    """An argument that the type of its parameter does not allow."""

    name: str
    value: object
    rule: str  # what is allowed: "must be ..." or "choices: ..."

    def __str__(self) -> str:
        # A config has lists, which some settings keep as tuples.
        value = list(self.value) if isinstance(self.value, tuple) else self.value
        return f"{self.name}={value}: {self.rule}"

    def sentence(self) -> str:
        """For example "steps must be an integer of at least 1, not 0"."""
        rule = self.rule.replace("choices:", "must be one of")
        return f"{self.name} {rule}, not {self.value!r}"


def violation(
    function: Callable[..., object], values: Mapping[str, object], *, plain: bool = False
) -> Violation | None:
    """The first value that the parameter of its name does not allow; None if there is none.

    Args:
        function: a class or a function.
        values: arguments by name.
        plain: check numbers, flags and choices alone; no texts, no objects.
    """
    for name, value in values.items():
        adapter = _adapter(function, name, plain=plain)
        if adapter is None:
            continue
        from pydantic import ValidationError

        try:
            adapter.validate_python(_scalar(value))
        except ValidationError as error:
            return Violation(name, value, _rule(parameter_types(function)[name], error))
    return None


def checks_arguments(target: T) -> T:
    """Decorates a class or a function that refuses what its types exclude.

    Numbers, flags and choices are checked. The ValueError is one line: `Violation.sentence`.
    """
    if isinstance(target, type):
        setattr(target, "__init__", checks_arguments(target.__init__))  # type: ignore[misc] # noqa: B010
        return target
    signature = inspect.signature(target)

    @wraps(target)
    def checked(*args: Any, **kwargs: Any) -> Any:
        try:
            arguments = signature.bind(*args, **kwargs).arguments
        except TypeError:
            return target(*args, **kwargs)  # Python's own message says what is missing
        if wrong := violation(target, arguments, plain=True):
            raise ValueError(wrong.sentence())
        return target(*args, **kwargs)

    return checked  # type: ignore[return-value]


class CheckedArguments:
    """Makes the constructors of all subclasses check their arguments, as `checks_arguments`."""

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        if "__init__" in vars(cls):
            checks_arguments(cls)


@cache
def parameter_types(function: Callable[..., object]) -> dict[str, Any]:
    """The types of a class's or function's parameters, with their ranges.

    A type that is imported for type checkers alone cannot be resolved and is left out.
    """
    constructor = function.__init__ if isinstance(function, type) else function  # type: ignore[misc]
    constructor = inspect.unwrap(constructor)
    types: dict[str, Any] = {}
    for parameter in inspect.signature(constructor).parameters.values():
        # The type of **more is that of each further argument, not of their dictionary.
        several = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if several or parameter.annotation is parameter.empty:
            continue
        single = SimpleNamespace(__annotations__={parameter.name: parameter.annotation})
        try:
            types |= get_type_hints(single, constructor.__globals__, include_extras=True)
        except NameError:
            continue
    return types


def _rule(hint: Any, error: "ValidationError") -> str:
    """What a type allows, in words."""
    if names := literal_choices(hint):
        return f"choices: {', '.join(names)}"
    for each in error.errors():
        # Descriptions leave this bound out, because hardly anybody meets it.
        if each.get("ctx", {}).get("le") == LARGEST:
            return "must be at most 1e9"
    if text := describe_type(hint):
        return f"must be {text}"
    return "; ".join(dict.fromkeys(str(each["msg"]) for each in error.errors()))


@cache
def _adapter(
    function: Callable[..., object], name: str, *, plain: bool
) -> "TypeAdapter[Any] | None":
    """What checks one parameter; None if nothing is to be checked."""
    hint = parameter_types(function).get(name, Any)
    if hint is Any or (plain and not _is_plain(hint)):
        return None
    from pydantic import ConfigDict, PydanticUserError, TypeAdapter

    try:
        return TypeAdapter(_strict(hint), config=ConfigDict(arbitrary_types_allowed=True))
    except PydanticUserError:  # a dataclass takes no config
        return None


def _is_plain(hint: Any) -> bool:
    """Whether a type is made of numbers, flags, choices and texts, and not of texts alone."""
    has_checked = False
    for leaf in leaves(hint):
        checked = leaf.kind in (*NUMBERS, bool) or get_origin(leaf.kind) is Literal
        if not checked and leaf.kind not in (str, NoneType):
            return False
        has_checked |= checked
    return has_checked


def _strict(hint: Any) -> Any:
    """The same type for values as they are: nothing is converted but a list to a tuple."""
    from pydantic import AllowInfNan, Strict

    if hint in (int, bool):
        return Annotated[hint, Strict()]
    if hint is float:
        return Annotated[float, Strict(), AllowInfNan(allow_inf_nan=False)]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return Annotated[(_strict(hint.__origin__), *hint.__metadata__)]
    if origin in (*CONTAINERS, *UNIONS):
        inner = tuple(each if each is Ellipsis else _strict(each) for each in arguments)
        return Union[inner] if origin in UNIONS else origin[inner]  # noqa: UP007
    return hint


def _scalar(value: object) -> object:
    """The number in a NumPy or torch scalar; anything else as it is."""
    if getattr(value, "ndim", None) == 0 and callable(item := getattr(value, "item", None)):
        return item()
    return value
