"""Commands of Redis that gossipnet refuses, each with the reason that its users read.

The list is the one that Redis Active-Active refuses, and what a mesh without a server cannot mean.
"""

_WIPE = "a wipe would spread to every machine; delete keys by SCAN and DEL"
_ONE = "there is one database, 0"
_MOVE = "values carry their history, which a dump would lose; use COPY, or write them anew"
_DISK = "every write is on disk before its reply, or within a second, as durability says"
_ROLE = "there are no masters and replicas: every node takes reads and writes"
_CLUSTER = "there is no cluster of slots: every node holds every key; see GOSSIP MEMBERS"
_SHARDS = "channels are not sharded: every node hears every channel; use SUBSCRIBE and PUBLISH"
_MODULE = "there are no modules"
_ACL = "who may do what is written in certificates: gossipnet invite --allow VERB:PREFIX"
_CONFIG = "settings are flags, GOSSIPNET_* and config.toml; restart the daemon to change them"
_MEASURE = "it is not measured"
_SCRIPT = "scripts cannot be replicated; use MULTI and EXEC"
_DEBUG = "it would reach into the daemon"
_STOP = "stop the daemon with SIGTERM, or sign off with GOSSIP LEAVE"
_HOLD = "one client cannot hold up the others"
_LRU = "nothing is evicted, so it is not recorded"
_ENCODING = "values are not held in Redis's encodings"
_LOG = "it is not recorded; see GOSSIP EVENTS"
_VECTOR = "this type is not planned"

_REASONS: dict[str, str] = {
    "flushall flushdb": _WIPE,
    "move swapdb": _ONE,
    "migrate restore restore-asking dump": _MOVE,
    "save bgsave lastsave bgrewriteaof": _DISK,
    "sync psync replicaof slaveof role failover replconf": _ROLE,
    "cluster asking readonly readwrite": _CLUSTER,
    "module": _MODULE,
    "acl": _ACL,
    "latency": _MEASURE,
    "monitor": _LOG,
    "eval eval_ro evalsha evalsha_ro script function fcall fcall_ro": _SCRIPT,
    "debug pfdebug pfselftest": _DEBUG,
    "shutdown": _STOP,
    "substr": "it is deprecated; use GETRANGE",
    "stralgo": "Redis removed it; use LCS",
    "ssubscribe sunsubscribe spublish pubsub|shardchannels pubsub|shardnumsub": _SHARDS,
    "increx": "use INCRBY, then EXPIRE",
    "vadd vcard vdim vemb vgetattr vinfo vlinks vrandmember vrem vsetattr vsim": _VECTOR,
    "config|resetstat config|rewrite": _CONFIG,
    "memory|doctor memory|purge memory|stats memory|malloc-stats": _MEASURE,
    "object|encoding": _ENCODING,
    "object|freq object|idletime": _LRU,
    "client|pause client|unpause": _HOLD,
}

REFUSED: dict[bytes, str] = {
    name.encode(): reason for names, reason in _REASONS.items() for name in names.split()
}
"""Reason by lower-case command name, or ``command|subcommand``."""
