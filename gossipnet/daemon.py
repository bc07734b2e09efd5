"""The daemon: a node, its local socket, its log, and the signals that end it.

The composition root of ``gossipnet run``. SIGTERM and SIGINT mean "back soon": what was written is
made durable, the others are told, and the process ends within `node.GRACE_SECONDS`; a second signal
ends it at once. ``gossipnet leave`` ends it too, for good. SIGHUP reads the settings again. What
goes wrong ends it with an error: it never hangs half alive.
"""

import os
import resource
import signal
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable

import trio

import gossipnet
from gossipnet import ids
from gossipnet.config import Settings
from gossipnet.errors import UserError
from gossipnet.io.backlog import Backlog
from gossipnet.io.client_server import ClientServer
from gossipnet.io.doors import read_only
from gossipnet.io.idlememory import settle_memory
from gossipnet.io.logs import LogWriter, log_event, set_level, start_logging, stop_logging
from gossipnet.io.memory_limit import Usage, watch_memory
from gossipnet.io.sole import sole_error
from gossipnet.io.supervisor import Supervisor
from gossipnet.node import GRACE_SECONDS, Node, run_node, stop
from gossipnet.resp.pressure import Caps

Suggest = Callable[[str], str]
Reread = Callable[[], Settings]

_LIVE = ("join", "log_level", "max_clients", "notify_keyspace_events")
"""Settings that SIGHUP changes; the others wait for the next start."""

_SPARE_DESCRIPTORS = 512
"""For links, dials, the database and the interpreter, beside one for each client."""


def run_daemon(
    settings: Settings,
    suggest: Suggest = "gossipnet {}".format,
    reread: Reread | None = None,
) -> None:
    """Run one daemon until a signal or ``gossipnet leave`` ends it.

    Args:
      settings: Settled; see `gossipnet.config.load`.
      suggest: Makes a complete command of its words, for the last line of the start block.
      reread: Reads the settings again at SIGHUP; may raise `UserError`.

    Raises:
      UserError: What is wrong with the home, the port, the disk, ..., in one sentence.
      Exception: A bug; its traceback is on standard error.
    """
    writer = start_logging(settings.log_level, settings.log_format)
    seal_process()
    _limit_process(settings.max_clients)
    again = False
    try:
        again = trio.run(_run, settings, writer, suggest, reread or (lambda: settings))
    except BaseException as error:
        sole = sole_error(error) if isinstance(error, BaseExceptionGroup) else error
        if isinstance(sole, UserError | KeyboardInterrupt):
            raise sole from None
        for line in traceback.format_exception(error):
            writer.line(line.rstrip("\n"))
        raise sole or error from None
    finally:
        stop_logging(writer)
    if again:  # the same process, for whoever watches over it; its state is read from the disk
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606


async def _run(settings: Settings, writer: LogWriter, suggest: Suggest, reread: Reread) -> bool:
    began = trio.current_time()
    ending = trio.Event()
    supervisor = Supervisor(os.environ, os.getpid())
    with (
        trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals,
        trio.open_signal_receiver(signal.SIGHUP) as hangups,
    ):
        async with trio.open_nursery() as watch:
            watch.start_soon(_watch, signals, ending, supervisor, watch.cancel_scope)
            async with run_node(settings) as node, trio.open_nursery() as beside:

                async def reload(server: ClientServer) -> None:
                    async for _ in hangups:
                        _reload(reread, settings, node, server, supervisor)

                beside.start_soon(supervisor.feed)
                await _serve(settings, node, writer, ending, began, suggest, supervisor, reload)
                beside.cancel_scope.cancel()
            watch.cancel_scope.cancel()
    if node.engine.outdated and not supervisor.asked:
        return True
    log_event("stopped", "left the mesh" if node.engine.left else "stopped; the others know")
    return False


async def _watch(
    signals: AsyncIterator[int],
    ending: trio.Event,
    supervisor: Supervisor,
    everything: trio.CancelScope,
) -> None:
    async for number in signals:
        if ending.is_set():
            log_event("stopping", "second signal: stopping at once", "warning")
            everything.cancel()
            return
        log_event("stopping", f"{signal.Signals(number).name}: saying goodbye")
        supervisor.stopping()
        ending.set()


async def _serve(
    settings: Settings,
    node: Node,
    writer: LogWriter,
    ending: trio.Event,
    began: float,
    suggest: Suggest,
    supervisor: Supervisor,
    reload: Callable[[ClientServer], Awaitable[None]],
) -> None:
    """Serve clients until it is time to go; their writes are durable when this returns."""
    readonly = read_only(
        settings.readonly_socket, settings.readonly_mode, settings.readonly_group, settings.home
    )
    async with trio.open_nursery() as nursery:
        server = ClientServer(
            node.driver,
            settings.socket,
            settings.max_clients,
            durability=settings.durability,
            readonly=readonly,
        )
        server.service.pressure.allow(_caps(settings))
        server.look = Backlog(node.engine, server.service.pressure).look
        node.driver.more_status["pressure"] = server.service.pressure.status
        nursery.start_soon(watch_memory, server.service.pressure, Usage())
        if node.blobs is not None:
            server.service.fetch_chunks = node.blobs.fetch
        server.service.notify(settings.notify_keyspace_events)
        await nursery.start(server.run)
        _announce(settings, node, writer, trio.current_time() - began, suggest)
        settle_memory()
        supervisor.ready(_told(node))
        nursery.start_soon(reload, server)
        nursery.start_soon(_end_when_left, node, ending)
        await ending.wait()
        await stop(node, trio.current_time() + GRACE_SECONDS)
        nursery.cancel_scope.cancel()


def _caps(settings: Settings) -> Caps:
    return Caps(*(getattr(settings, f"limits_{name}") for name in Caps._fields))


def _told(node: Node) -> str:
    return f"node {node.identity.name} of mesh {node.identity.trust.mesh_name} serves"


def _reload(
    reread: Reread,
    started: Settings,
    node: Node,
    server: ClientServer,
    supervisor: Supervisor,
) -> None:
    """Take what can be changed while the daemon runs; what cannot is named, what is wrong too."""
    supervisor.reloading()
    try:
        fresh = reread()
        server.service.notify(fresh.notify_keyspace_events)
    except UserError as error:
        log_event("reload", f"the settings stay as they are: {error}", "error")
    else:
        set_level(fresh.log_level)
        node.engine.add_seeds(fresh.join)
        server.service.max_clients = fresh.max_clients
        node.driver.flush()
        waiting = [
            name
            for name in Settings._fields
            if name not in _LIVE and getattr(fresh, name) != getattr(started, name)
        ]
        log_event(
            "reload",
            f"settings read again; for the next start: {', '.join(waiting)}"
            if waiting
            else "settings read again",
            "warning" if waiting else "info",
        )
    supervisor.ready(_told(node))


async def _end_when_left(node: Node, ending: trio.Event) -> None:
    await node.driver.left.wait()
    ending.set()


def _announce(
    settings: Settings, node: Node, writer: LogWriter, seconds: float, suggest: Suggest
) -> None:
    identity = node.identity
    mesh = f"{identity.trust.mesh_name} {ids.short(identity.trust.mesh_id)}"
    keys = len(node.keyspace)
    if writer.as_json:
        log_event("ready", f"node {identity.name} of mesh {mesh} listens on {node.listening[0]}")
        return
    told = ", ".join(node.advertised)
    step = "members" if identity.issuer is None else "invite"
    note = f" (advertised {told})" if told != ", ".join(node.listening) else ""
    for line in (
        f"gossipnet {gossipnet.__version__}  node {identity.name} {ids.short(identity.node_id)}"
        f"  mesh {mesh}",
        f"  gossip  {', '.join(node.listening)}{note}",
        f"  socket  {settings.socket} (0600)",
        *_readonly_line(settings),
        f"  state   {keys} key{'' if keys == 1 else 's'}, epoch {node.epoch:08x},"
        f" durability {settings.durability}",
        f"ready in {seconds:.1f} s. Next (another terminal): {suggest(step)}",
    ):
        writer.line(line)


def _readonly_line(settings: Settings) -> list[str]:
    if settings.readonly_socket is None:
        return []
    group = f", group {settings.readonly_group}" if settings.readonly_group else ""
    return [f"  reading {settings.readonly_socket} ({settings.readonly_mode:04o}{group})"]


_PR_SET_DUMPABLE = 4
"""linux/prctl.h."""


def seal_process() -> None:
    """No core file, for it would hold keys; and no other process of this user may read memory.

    The second on Linux only (prctl(2), PR_SET_DUMPABLE): a limit on the size of core files does not
    bind cores that go to a program, as systemd's do.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        import ctypes

        if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0):
            log_event("dumpable", "this process's memory can be read by its user", "warning")


def _limit_process(max_clients: int) -> None:
    """A descriptor for each client, if allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max_clients + _SPARE_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        except (OSError, ValueError):  # macOS has a limit of its own below the hard one
            log_event("few-files", f"only {soft} files may be open at once", "warning")
