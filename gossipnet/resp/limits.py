"""What one client of the local socket may use. Numbers only."""

INLINE_BYTES = 64 * 1024
"""The longest inline command and the longest header line: Redis's PROTO_INLINE_MAX_SIZE."""
BULK_BYTES = 512 * 1024 * 1024
"""A longer announced argument breaks the protocol: Redis's proto-max-bulk-len."""
ARGUMENTS = 1_048_576
"""More announced arguments break the protocol: Redis's limit before 7.0, where it is 2^31."""
COMMAND_BYTES = 1 << 20
"""A larger command, as written on the wire, is read past and refused; the client goes on."""
RECEIVE_BYTES = 64 * 1024
"""What is read from one client at once, and the most that it keeps parsed but not yet run."""
SLICE_COST = 512
"""What one client may run before others get their turn; an everyday command costs 1."""
SLICE_REPLY_BYTES = 1 << 20
"""Replies of this size in all end a slice as well."""
OUTPUT_BYTES = 32 * 1024 * 1024
"""Unsent replies; with more than this a client is not served until it has read."""
STALLED_SECONDS = 5.0
"""One that is over `OUTPUT_BYTES` and reads nothing for so long is cut off."""
HELD_BYTES = 4 * 1024 * 1024
"""Replies that wait for the disk; with more than this a client is not served for a while."""
WAITING_COMMANDS = 1024
"""What a client may send behind a command that waits before it is read no more."""
QUEUED_BYTES = COMMAND_BYTES
"""What MULTI queues: an EXEC above it could not become one record."""
WATCHED_KEYS = 10_000
"""Keys that one client may WATCH at once."""
TRACKED_KEYS = 100_000
"""Keys that clients have read and are told about when they change; more push out the oldest."""
CONSUMERS = 10_000
"""Readers of one consumer group on this node."""
SUBSCRIPTIONS = 10_000
"""Channels and patterns that one client may hear."""
EVENT_BYTES = 64 * 1024
"""A published message and its channel: `gossipnet.protocol.wire_talk.EVENT_BYTES`."""
PATTERNS = 100
"""Patterns that one client may GOSSIP WATCH."""
PATTERN_PLACES = 1024
"""Places of a glob pattern that is no plain name: each may cost a little per byte of a key."""
REPLY_BYTES = 64 * 1024 * 1024
"""A reply that repeats what is there (SRANDMEMBER -n) may not be larger."""
MEMBERS_MAX = 16_384
"""Members that a mesh may have: `gossipnet.protocol.membership.MEMBERS_MAX`."""
