"""What a lesson shows besides figures: the package's own source, and controls that change it."""

from __future__ import annotations

import ast
import html
import inspect
import textwrap
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from minilm.course.show.frames import kept_here, settings
from minilm.course.show.style import Picture, in_notebook
from minilm.errors import InputError

QUICK = 0.15  # seconds; a function this fast is redrawn while the slider moves


def source(thing: Any, *more: Any, docstring: str = "first") -> None:
    """Show the source of functions, methods or classes of the package, highlighted.

    Args:
        thing, more: what to show, one below the other.
        docstring: "first" keeps the first line of each docstring, "full" all of it, "none" nothing.

    Raises:
        InputError: something has no Python source (a built-in, or made at run time).
    """
    if docstring not in ("first", "full", "none"):
        raise InputError(f"docstring is {docstring!r}; it must be 'first', 'full' or 'none'")
    parts = [source_text(one, docstring) for one in (thing, *more)]
    code = "\n\n\n".join(text for text, _ in parts)
    places = list(dict.fromkeys(place for _, place in parts))
    if not in_notebook():
        print(code)
        return
    from IPython.display import display

    markdown = f"```python\n{code}\n```\n\n<small>`{'`, `'.join(places)}`</small>"
    metadata = {"minilm": {"source": places}}
    display({"text/markdown": markdown, "text/plain": code}, raw=True, metadata=metadata)


def source_text(thing: Any, docstring: str = "first") -> tuple[str, str]:
    """The dedented source of one object, and the file of the package it comes from."""
    for inner in ("__wrapped__", "py_func"):  # decorated functions, compiled kernels
        while hasattr(thing, inner):
            thing = getattr(thing, inner)
    if isinstance(thing, property):
        thing = thing.fget
    try:
        code = textwrap.dedent(inspect.getsource(thing)).rstrip()
        path = Path(inspect.getsourcefile(thing) or "")
    except (TypeError, OSError):
        name = getattr(thing, "__name__", type(thing).__name__)
        raise InputError(
            f"{name} has no Python source to show; give a function, method, class or module"
        ) from None
    root = Path(__file__).parents[3]
    place = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
    return (code if docstring == "full" else _trim(code, docstring == "first")), place


def _trim(code: str, first: bool) -> str:
    """Shorten every docstring to its first line, or drop it; nothing else changes."""
    lines = code.splitlines()
    for node in sorted(_documented(code), key=lambda node: -node.lineno):
        text = node.body[0]
        head = ast.get_docstring(node).splitlines()[0]  # type: ignore[union-attr]
        indent = " " * text.col_offset
        keep = [f'{indent}"""{head}"""'] if first or len(node.body) == 1 else []
        end = text.end_lineno or text.lineno
        while not keep and end < len(lines) and not lines[end].strip():
            end += 1
        lines[text.lineno - 1 : end] = keep
    return "\n".join(lines)


def _documented(code: str) -> list[Any]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    found = (node for node in ast.walk(ast.parse(code)) if isinstance(node, kinds))
    return [node for node in found if ast.get_docstring(node)]


def interact(fn: Callable[..., Any], **controls: Any) -> None:
    """Run `fn` now, and again whenever a control moves; the picture changes in place.

    What `fn` shows for the starting values stays in the notebook as an ordinary output, so a slide,
    the site or a page that only shows stored outputs has it too. A run that stores its outputs also
    draws the picture at a few more places of the controls, through which a deck and the site walk.
    Without ipywidgets the first picture is all there is, and a line says so.

    Args:
        fn: called with one keyword per control; shows figures, prints, or returns a value.
        controls: per argument of `fn` one of
            (low, high), (low, high, step) or (low, high, step, start): a slider, whole numbers if
            all are; the start is the middle by default;
            [a, b, c]: a choice, starting at the first;
            True or False: a box to tick; "text": a line to type in;
            any ipywidget of your own.

    Raises:
        InputError: a control is none of these, or `fn` does not take it.
    """
    allowed = inspect.signature(fn).parameters
    named = not any(p.kind is p.VAR_KEYWORD for p in allowed.values())
    for name in controls:
        if named and name not in allowed:
            raise InputError(f"{name} is no argument of the function; it takes {list(allowed)}")
    if not controls:
        raise InputError("interact needs at least one control, such as width=(10, 400)")
    specs = {name: control_of(name, given) for name, given in controls.items()}
    start = {name: spec["value"] for name, spec in specs.items()}
    if not in_notebook():
        fn(**start)
        return
    began = time.perf_counter()
    outputs = _capture(fn, start)
    seconds = time.perf_counter() - began
    widgets = _widgets(specs, continuous=seconds < QUICK)
    _show_controls(specs, widgets, _frames(fn, specs) if kept_here() else [])
    handles = [_publish(*output) for output in outputs]
    if widgets:
        _wire(fn, widgets, handles)


def control_of(name: str, given: Any) -> dict[str, Any]:
    """A control as plain data: its kind, its starting value and its range or choices."""
    if hasattr(given, "observe") and hasattr(given, "value"):
        return {"kind": "widget", "value": given.value, "widget": given}
    if isinstance(given, bool):
        return {"kind": "tick", "value": given}
    if isinstance(given, str):
        return {"kind": "text", "value": given}
    if isinstance(given, list) and given:
        return {"kind": "choice", "value": given[0], "choices": given}
    numbers = isinstance(given, tuple) and all(
        isinstance(n, int | float) and not isinstance(n, bool) for n in given
    )
    if not numbers or not 2 <= len(given) <= 4 or given[0] >= given[1]:
        raise InputError(
            f"{name} is {given!r}; a control must be (low, high[, step[, start]]) with low < high, "
            f"a list of choices, True or False, a text, or an ipywidget"
        )
    low, high = given[:2]
    whole = all(isinstance(n, int) for n in given)
    step = given[2] if len(given) > 2 else (1 if whole else (high - low) / 50)
    middle = low + round((high - low) / 2 / step) * step
    value = given[3] if len(given) > 3 else (int(middle) if whole else round(middle, 10))
    if not low <= value <= high:
        raise InputError(f"{name} starts at {value}; it must lie in {low} to {high}")
    return {"kind": "slider", "value": value, "low": low, "high": high, "step": step}


def _capture(fn: Callable[..., Any], values: dict[str, Any]) -> list[tuple[dict, dict]]:
    """What `fn` shows, prints and returns for these values, as Jupyter bundles."""
    from IPython.utils.capture import capture_output

    with capture_output() as seen:
        result = fn(**values)
    bundles = [(output.data, output.metadata or {}) for output in seen.outputs]
    if seen.stdout.strip():
        bundles.append(({"text/plain": seen.stdout.rstrip()}, {}))
    if result is not None and not isinstance(result, Picture):
        from IPython import get_ipython

        bundles.append(get_ipython().display_formatter.format(result))
    return bundles or [({"text/plain": ""}, {})]


def _frames(fn: Callable[..., Any], specs: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The controls and what `fn` shows at each of their `settings`, as stored outputs."""
    start = {name: spec["value"] for name, spec in specs.items()}
    every, made = settings(specs), []
    for values in every if len(every) > 1 else []:
        moved = {name: {**spec, "value": values[name]} for name, spec in specs.items()}
        shown = [({"text/html": drawn_controls(moved)}, {}), *_capture(fn, values)]
        outputs = [
            {"output_type": "display_data", "data": data, "metadata": metadata}
            for data, metadata in shown
        ]
        made.append({"start": values == start, "outputs": outputs})
    return made


def _publish(data: dict[str, Any], metadata: dict[str, Any]) -> Any:
    from IPython.display import display

    return display(data, raw=True, metadata=metadata, display_id=True)


def _widgets(specs: dict[str, dict[str, Any]], continuous: bool) -> dict[str, Any]:
    """The ipywidgets of the controls; empty where ipywidgets is not installed."""
    try:
        import ipywidgets as w
    except ImportError:
        return {}
    made = {}
    for name, spec in specs.items():
        look = {"value": spec["value"], "description": name.replace("_", " ")}
        if spec["kind"] == "widget":
            made[name] = spec["widget"]
        elif spec["kind"] == "tick":
            made[name] = w.Checkbox(**look)
        elif spec["kind"] == "text":
            room = w.Layout(width="640px")  # for a sentence
            made[name] = w.Text(**look, layout=room, continuous_update=False)
        elif spec["kind"] == "choice":
            choices = [(str(choice), choice) for choice in spec["choices"]]
            made[name] = w.Dropdown(options=choices, **look)
        else:
            span = {"min": spec["low"], "max": spec["high"], "step": spec["step"]}
            whole = all(isinstance(n, int) for n in (*span.values(), spec["value"]))
            slider = w.IntSlider if whole else w.FloatSlider
            look["layout"] = w.Layout(width="640px")
            made[name] = slider(**span, **look, continuous_update=continuous)
        made[name].style.description_width = "160px"
    return made


def _show_controls(
    specs: dict[str, dict[str, Any]], widgets: dict[str, Any], kept: list[dict[str, Any]]
) -> None:
    """The live controls, with a drawing of them, and frames, for pages that cannot run anything."""
    from IPython import get_ipython
    from IPython.display import display

    data = {"text/html": drawn_controls(specs), "text/plain": _spoken(specs)}
    if widgets:
        import ipywidgets as w

        box = w.VBox(list(widgets.values()))
        live, _ = get_ipython().display_formatter.format(box)
        data = {**(live or box._repr_mimebundle_()), **data}
    else:
        note = "The control does not move here: install ipywidgets and run the lesson again."
        data["text/html"] += f"<small>{note}</small>"
        data["text/plain"] += f"\n{note}"
    ours = {"controls": sorted(specs), **({"frames": kept} if kept else {})}
    display(data, raw=True, metadata={"minilm": ours})


def _spoken(specs: dict[str, dict[str, Any]]) -> str:
    return "\n".join(f"{name} = {spec['value']}{_range(spec)}" for name, spec in specs.items())


def _range(spec: dict[str, Any]) -> str:
    if spec["kind"] == "slider":
        return f"  ({spec['low']:g} to {spec['high']:g})"
    if spec["kind"] == "choice":
        return f"  (one of {', '.join(map(str, spec['choices']))})"
    return ""


def drawn_controls(specs: dict[str, dict[str, Any]]) -> str:
    """The controls as a still drawing in HTML: what can be moved, and where it stands."""
    rows = [_drawn(name.replace("_", " "), spec) for name, spec in specs.items()]
    return f'<div class="minilm-controls">{"".join(rows)}</div>'


def _drawn(name: str, spec: dict[str, Any]) -> str:
    value = html.escape(str(spec["value"]))
    if spec["kind"] == "slider":
        share = (spec["value"] - spec["low"]) / (spec["high"] - spec["low"])
        value = f"{spec['value']:g}"
        track = (
            '<span style="display:inline-block;position:relative;width:240px;height:6px;margin:0 '
            '12px;border-radius:3px;background:#D9DEE7;vertical-align:middle"><span style="position'
            f":absolute;left:{100 * share:.1f}%;top:-6px;width:18px;height:18px;margin-left:-9px;"
            'border-radius:50%;background:#0072B2"></span></span>'
        )
        shown = f"{spec['low']:g}{track}{spec['high']:g}"
    elif spec["kind"] == "choice":
        shown = " &nbsp;·&nbsp; ".join(html.escape(str(choice)) for choice in spec["choices"])
    else:
        shown = ""
    head = f"<b>{html.escape(name)} = {value}</b>"
    return f'<div style="margin:2px 0">{head} &nbsp; {shown}</div>'


def _wire(fn: Callable[..., Any], widgets: dict[str, Any], handles: Sequence[Any]) -> None:
    """Redraw in place on every change; values that do not change the call are skipped."""
    last = {name: widget.value for name, widget in widgets.items()}

    def redraw(_: Any = None) -> None:
        values = {name: widget.value for name, widget in widgets.items()}
        if values == last:
            return
        last.update(values)
        try:
            bundles = _capture(fn, values)
        except Exception as error:  # a callback's traceback would vanish into the server's log
            bundles = [({"text/plain": f"{type(error).__name__}: {error}"}, {})]
        empty = ({"text/plain": ""}, {})
        for handle, (data, metadata) in zip(
            handles, bundles + [empty] * (len(handles) - len(bundles)), strict=False
        ):
            handle.update(data, raw=True, metadata=metadata)

    for widget in widgets.values():
        widget.observe(redraw, names="value")
