"""A host for engines under test: answers calls from Python functions and keeps what was asked."""

from llmspell.script.engine import CallbackRef, EngineOptions, HostCall, Limits, Seeds
from llmspell.script.lua import LuaEngine


class Refused(Exception):
    """Raised by a test's host function: reaches the script as an error with this code."""

    def __init__(self, code, message, **more):
        super().__init__(message)
        self.fields = {"code": code, "message": message, **more}


class Host:
    """Runs scripts on one engine. ``functions`` maps host names to Python functions; all are bound in ``Host``."""

    def __init__(self, version, functions=None, *, bindings=None, limits=None, seeds=None, preludes=(), nested=()):
        self.functions = {"print": self.lines_append, "warn": self.lines_append, **(functions or {})}
        self.lines = []
        self.asked = []
        self.kept = []
        names = {name: name for name in (functions or {}) if "." not in name}
        self.engine = LuaEngine(
            EngineOptions(
                bindings={"Host": names, **(bindings or {})},
                limits=limits or Limits(),
                seeds=seeds or Seeds(),
                preludes=preludes,
                nested_callbacks=frozenset(nested),
            ),
            version=version,
        )

    def lines_append(self, line):
        self.lines.append(line)

    def run(self, source, *args, name="script.lua", expression=False):
        return self.finish(self.engine.start(source, name, args=args, expression=expression))

    def call(self, callback, *args):
        return self.finish(self.engine.call(callback.id if isinstance(callback, CallbackRef) else callback, args))

    def finish(self, events):
        (event,) = events
        while isinstance(event, HostCall):
            (event,) = self.answer(event)
        return event

    def answer(self, event):
        self.asked.append((event.name, event.args))
        try:
            value = self.functions[event.name](*event.args)
        except Refused as refused:
            return self.engine.settle(event.call_id, False, refused.fields)
        return self.engine.settle(event.call_id, True, value)

    def value(self, source, *args):
        """The value of a script that must not fail."""
        done = self.run(source, *args)
        assert done.ok, done.error
        return done.value

    def error(self, source, *args):
        """The error of a script that must fail."""
        done = self.run(source, *args)
        assert not done.ok, done.value
        return done.error
