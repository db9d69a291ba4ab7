"""Holding a tunnel: here until Ctrl-C, or in the background once it is up."""

from __future__ import annotations

import sys
import time
import webbrowser
from typing import TYPE_CHECKING, Any, Literal

from internlm_setup.cli.session import Session
from internlm_setup.cli.signals import ended_by_ctrl_c
from internlm_setup.core.text import Text
from internlm_setup.tunnel import events as ev

if TYPE_CHECKING:
    from internlm_setup.tunnel.service import Plan, Request, World

How = Literal["here", "detach", "background"]
_PROFILE = Text(
    en="to call it `{name}` from now on, put this into `{file}`:\n{lines}",
    zh="要以后用 `{name}` 称呼它，请写入 `{file}`：\n{lines}",
)


def hold_it(ctx: Any, request: Request, how: How) -> None:
    """Say what will be held, then hold it.

    Raises:
        SetupError: It cannot be, or not any longer.
    """
    session = Session.of(ctx)
    from internlm_setup.tunnel import service

    world = service.World(session.env, session.home, session.paths)
    plan = service.plan(request, world)
    session.output.result({"server": plan.begun.server, "command": plan.begun.command})
    if how == "background":
        from internlm_setup.cli.tunnel_background import serve

        serve(session, plan, world)
    elif how == "detach":
        from internlm_setup.cli.tunnel_background import start

        _introduce(session, plan, world)
        start(session, plan, world)
    else:
        _hold_here(session, plan, world)


def _introduce(session: Session, plan: Plan, world: World) -> None:
    """Say what will be held, and what of a pasted line is not followed."""
    from internlm_setup.cli.tunnel_view import TunnelView
    from internlm_setup.tunnel import profiles, service

    view = TunnelView(session.output, time.monotonic)
    view.hear(plan.begun)
    for line in plan.notes:
        view.hear(ev.Noted(line))
    for line in (*plan.warnings, *service.open_to_all(plan.spec)):
        view.hear(ev.Noted(line, warning=True))
    if plan.made is not None:
        file = world.paths.config / profiles.FILE
        lines = profiles.as_yaml(plan.made).rstrip()
        session.output.talk(_PROFILE.fill(name=plan.made.name, file=file, lines=lines))


def _hold_here(session: Session, plan: Plan, world: World) -> None:
    from internlm_setup.cli.asker import TerminalAsker
    from internlm_setup.cli.tunnel_view import TunnelView
    from internlm_setup.tunnel import service

    view = TunnelView(session.output, time.monotonic)
    _introduce(session, plan, world)

    def hear(event: ev.Event) -> None:
        view.hear(event)
        if isinstance(event, ev.ServiceAnswers):
            open_browser(event.url)

    asker = TerminalAsker(session.output, view.aside)
    tunnel = service.tunnel(plan, asker, world, hear)
    view.status = tunnel.status
    with ended_by_ctrl_c():
        try:
            service.hold(tunnel, plan, world, attended=session.output.can_ask())
        finally:
            view.close()


def open_browser(url: str) -> None:
    """Show a page, where there is a browser that does not take over the terminal."""
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return
    if (
        sys.platform in {"win32", "darwin"}
        or not isinstance(browser, webbrowser.GenericBrowser)
        or isinstance(browser, webbrowser.BackgroundBrowser)
    ):
        browser.open(url)
