"""The state of a running daemon through redis-py, which knows nothing of gossipnet.

gossipnet run &
python examples/use_redis_py.py ~/.local/share/gossipnet/gossipnet.sock
"""

import sys

import redis


def main(socket: str) -> None:
    """A counter, a hash, a set, an expiring key and a transaction, all of them replicated."""
    with redis.Redis(unix_socket_path=socket, decode_responses=True) as client:
        client.hset("user:1", mapping={"name": "ada", "role": "admin"})
        client.sadd("crew", "ada", "bob")
        client.set("lease:atlas", "busy", ex=90)
        with client.pipeline() as pipe:  # MULTI ... EXEC: applied as a whole on every node
            pipe.incr("visits")
            pipe.hincrby("user:1", "visits", 1)
            visits, _ = pipe.execute()

        print(f"visits: {visits}")  # counted on all machines together
        print(f"user:1: {client.hgetall('user:1')}")
        print(f"crew: {sorted(client.smembers('crew'))}")
        print(f"lease ends in {client.ttl('lease:atlas')} s")
        print(f"this node knows {client.dbsize()} keys")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: use_redis_py.py SOCKET")
    main(sys.argv[1])
