"""The sans-IO core: inputs and the time go in, effects come out.

Nothing in this package knows trio, sockets, files, threads or clocks. `engine.Engine` composes
membership, overlay, broadcast and anti-entropy over one `gossipnet.state` replica; the trio daemon
and the simulator drive that same engine.
"""
