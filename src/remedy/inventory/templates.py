"""Jinja2 references in variables: `ansible_host: "{{ mgmt_ip }}"`.

Decides which expressions an inventory may use and what they come to. Only what names, joins and picks values is
allowed: no loops, no calls but `lookup('env', …)`, results bounded, in Jinja2's sandbox. Only the variables remedy
itself needs are ever rendered; everything else stays as written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from remedy.core.errors import InventoryError
from remedy.inventory import secrecy
from remedy.inventory.documents import Unsafe, Vaulted
from remedy.inventory.findings import Located

if TYPE_CHECKING:
    from jinja2 import nodes
    from jinja2.sandbox import SandboxedEnvironment

#: Longest text a template may come to, in characters.
MAX_RESULT: Final = 65_536
_MAX_CHAIN: Final = 32
_NODES: Final = frozenset(
    [
        "Template",
        "Output",
        "TemplateData",
        "Name",
        "Const",
        "Getattr",
        "Getitem",
        "Filter",
        "Concat",
        "Add",
        "Compare",
        "Operand",
        "And",
        "Or",
        "Not",
        "CondExpr",
        "Test",
        "List",
        "Tuple",
        "Dict",
        "Pair",
        "Call",
    ]
)
_FILTERS: Final = frozenset(
    ["default", "d", "lower", "upper", "trim", "int", "string", "first", "last", "join", "replace", "bool"]
)
_TESTS: Final = frozenset(["defined", "undefined", "none", "string", "number", "sameas", "eq", "ne", "in"])
_ALIAS: Final = re.compile(r"\{\{\s*([A-Za-z_]\w*)\s*\}\}\Z")
_LOOKUPS: Final = frozenset({"env", "ansible.builtin.env"})


def is_template(value: object) -> bool:
    """Whether a value is text Ansible would render."""
    return isinstance(value, str) and not isinstance(value, Unsafe) and ("{{" in value or "{%" in value)


class Renderer:
    """Renders variables of one host on demand, each with its own references first.

    `variables` are the host's, `magic` finds the names Ansible provides (`inventory_hostname`, `groups`, `hostvars`
    and so on) when they are asked for, `environ` is what `lookup('env', …)` sees.
    """

    def __init__(
        self,
        variables: Mapping[str, Located],
        *,
        magic: Mapping[str, Callable[[], object]],
        environ: Mapping[str, str],
        missing_hint: str = "",
    ) -> None:
        """Keep what the templates may see. `missing_hint` is added when a name is not defined."""
        self._variables = variables
        self._magic = magic
        self._environ = environ
        self._missing_hint = missing_hint
        self._done: dict[str, object] = {}
        self._open: list[str] = []
        self._environment: SandboxedEnvironment | None = None

    def variable(self, name: str) -> object:
        """The rendered value of a variable; KeyError when the host has none of that name.

        Raises InventoryError naming the variable's file and line when it is encrypted, refers to itself, to
        something undefined or uses what is not allowed.
        """
        if name in self._done:
            return self._done[name]
        located = self._variables[name]
        if name in self._open or len(self._open) > _MAX_CHAIN:
            chain = " -> ".join([*self._open, name])
            raise InventoryError(f"{name} refers to itself: {chain}", where=located.where, hint="break the circle")
        self._open.append(name)
        try:
            result = self.value(located.value, name, located.where)
        finally:
            self._open.pop()
        self._done[name] = result
        return result

    def alias(self, value: object) -> str | None:
        """The variable a value refers to when it is nothing but `{{ variable }}`; None otherwise."""
        match = _ALIAS.match(value) if isinstance(value, str) and not isinstance(value, Unsafe) else None
        return match[1] if match and match[1] in self._variables else None

    def value(self, value: object, name: str, where: str) -> object:
        """Render a value and everything in it. `name` and `where` are for messages."""
        if isinstance(value, Vaulted):
            raise InventoryError(
                f"{name} is encrypted with Ansible Vault, and remedy does not decrypt it",
                where=where,
                hint="write the value in clear, or for a password {command: [ansible-vault, view, FILE]}",
            )
        if isinstance(value, list):
            return [self.value(item, name, where) for item in value]
        if isinstance(value, dict):
            return {key: self.value(item, name, where) for key, item in value.items()}
        return self._text(str(value), name, where) if is_template(value) else value

    def _text(self, text: str, name: str, where: str) -> object:
        from jinja2 import TemplateError, Undefined  # noqa: PLC0415 -- only inventories with templates pay for it

        def wrong(why: str, hint: str = "") -> InventoryError:
            secret = secrecy.is_secret(name.rpartition(".")[2])
            said = name if secret else f"{name}: {secrecy.masked(text)[:80]!r}"
            return InventoryError(f"{said}: {why}", where=where, hint=hint)

        environment = self._sandbox()
        try:
            tree = environment.parse(text)
            self._check(tree, wrong)
            context = self._context(tree)
            inner = _single_expression(tree, text)
            if inner is None:
                result: object = environment.from_string(text).render(context)
            else:
                result = environment.compile_expression(inner, undefined_to_none=False)(**context)
            if isinstance(result, Undefined):
                str(result)  # raises UndefinedError with the name
        except TemplateError as error:
            why = error.message or "cannot be rendered"
            raise wrong(why, self._missing_hint or "define it, or write the value itself") from error
        except (TypeError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
            raise wrong(f"cannot be rendered: {error}", "write the value itself") from error
        if not isinstance(result, (str, int, float, list, dict, tuple, type(None))):
            raise wrong("does not come to a plain value", "refer to one variable of it")
        if len(repr(result)) > MAX_RESULT:
            raise wrong(f"the result is longer than {MAX_RESULT} characters", "write the value itself")
        return result

    def _context(self, tree: nodes.Template) -> dict[str, Any]:
        from jinja2 import meta  # noqa: PLC0415 -- as above

        context: dict[str, Any] = {"lookup": self._lookup}
        for name in meta.find_undeclared_variables(tree):
            if name in self._magic:
                context[name] = self._magic[name]()
            elif name in self._variables:
                context[name] = self.variable(name)
        return context

    def _lookup(self, plugin: str, name: str) -> str:
        return self._environ.get(name, "") if plugin in _LOOKUPS else ""

    def _check(self, tree: nodes.Template, wrong: Callable[..., InventoryError]) -> None:
        from jinja2 import nodes  # noqa: PLC0415 -- as above

        hint = "write the value itself; remedy reads references and a few filters, it is no template engine"
        for node in tree.find_all(nodes.Node):
            kind = type(node).__name__
            if kind not in _NODES:
                raise wrong(f"{kind.lower()} is not allowed in an inventory", hint)
            if isinstance(node, nodes.Filter) and node.name not in _FILTERS:
                raise wrong(f"the filter {node.name} is not known here", hint)
            if isinstance(node, nodes.Test) and node.name not in _TESTS:
                raise wrong(f"the test {node.name} is not known here", hint)
            if isinstance(node, nodes.Call) and (lookup_of(node) or ("",))[0] not in _LOOKUPS:
                raise wrong("only lookup('env', NAME) can be called here", "for secrets see {env: …}, {command: […]}")

    def _sandbox(self) -> SandboxedEnvironment:
        if self._environment is None:
            from jinja2 import StrictUndefined  # noqa: PLC0415 -- as above
            from jinja2.sandbox import SandboxedEnvironment  # noqa: PLC0415 -- as above

            self._environment = SandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
            self._environment.globals.clear()
            self._environment.filters.update(bool=_as_bool, replace=_replace)
        return self._environment


def lookup_of(node: nodes.Node) -> tuple[str, str] | None:
    """Plug-in and argument of a `lookup('plugin', 'argument')` call with constant arguments; None for other calls."""
    from jinja2 import nodes  # noqa: PLC0415 -- as above

    if not (isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name == "lookup"):
        return None
    values = [arg.value for arg in node.args if isinstance(arg, nodes.Const) and isinstance(arg.value, str)]
    if len(values) != 2 or len(node.args) != 2 or node.kwargs or node.dyn_args or node.dyn_kwargs:  # noqa: PLR2004 -- plug-in and argument
        return None
    return values[0], values[1]


def sole_expression(text: str) -> nodes.Expr | None:
    """The expression of a text that is exactly one `{{ expression }}`; None for anything else, broken ones too."""
    from jinja2 import Environment, TemplateError, nodes  # noqa: PLC0415 -- as above

    try:
        tree = Environment(autoescape=False).parse(text.strip())  # noqa: S701 -- parsed only, never rendered
    except TemplateError:
        return None
    if len(tree.body) != 1 or not isinstance(tree.body[0], nodes.Output) or len(tree.body[0].nodes) != 1:
        return None
    only = tree.body[0].nodes[0]
    return None if isinstance(only, nodes.TemplateData) else only


def _single_expression(tree: nodes.Template, text: str) -> str | None:
    # As Ansible: text that is one expression keeps the expression's type, a list stays a list.
    from jinja2 import nodes  # noqa: PLC0415 -- as above

    if len(tree.body) != 1 or not isinstance(tree.body[0], nodes.Output):
        return None
    parts = tree.body[0].nodes
    if len(parts) != 1 or isinstance(parts[0], nodes.TemplateData):
        return None
    stripped = text.strip()
    if not (stripped.startswith("{{") and stripped.endswith("}}")) or stripped != text:
        return None
    return stripped[2:-2].strip("-+ \n\t")


def _as_bool(value: object) -> bool:
    return value is True or str(value).strip().lower() in {"1", "true", "yes", "on", "y", "t"}


def _replace(text: str, old: str, new: str) -> str:
    text, old, new = str(text), str(old), str(new)
    if len(text) + (text.count(old) * len(new)) > MAX_RESULT:
        msg = "the replacement grows too long"
        raise ValueError(msg)
    return text.replace(old, new)
