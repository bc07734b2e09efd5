// Every type through ioredis: `node every_type.mjs SOCKET` prints what came back, as JSON.
import { createRequire } from "node:module";

const require = createRequire(process.env.GOSSIPNET_NODE_CLIENTS + "/");
const Redis = require("ioredis");
const redis = new Redis({ path: process.argv[2] });
const told = {};

told.string = [await redis.set("js:s", "héllo", "EX", 100), await redis.get("js:s")];
told.counter = [await redis.incrby("js:n", 5), await redis.incrbyfloat("js:n", 0.5)];
told.bits = [await redis.setbit("js:b", 7, 1), await redis.bitcount("js:b")];
await redis.hset("js:h", { a: "1", b: "2" });
told.hash = await redis.hgetall("js:h");
await redis.sadd("js:set", "x", "y");
told.set = (await redis.smembers("js:set")).sort();
await redis.zadd("js:z", 2, "b", 1.5, "a");
told.zset = await redis.zrange("js:z", 0, -1, "WITHSCORES");
await redis.rpush("js:l", "1", "2", "3");
told.list = [await redis.lrange("js:l", 0, -1), await redis.blpop("js:l", 1)];
await redis.geoadd("js:g", 13.361389, 38.115556, "Palermo", 15.087269, 37.502669, "Catania");
told.geo = await redis.geodist("js:g", "Palermo", "Catania", "km");
const id = await redis.xadd("js:x", "*", "f", "v");
const entries = await redis.xrange("js:x", "-", "+");
told.stream = [entries.length, entries[0][0] === id, entries[0][1]];
await redis.pfadd("js:p", "a", "b", "a");
told.hyperloglog = await redis.pfcount("js:p");
told.transaction = await redis.multi().set("js:t", "1").incr("js:t").exec();
const pipeline = redis.pipeline();
for (let number = 0; number < 100; number += 1) pipeline.incr("js:many");
told.pipeline = (await pipeline.exec()).at(-1);
told.scan = 0;
for await (const keys of redis.scanStream({ match: "js:*" })) told.scan += keys.length;
try {
  await redis.lpush("js:s", "x");
} catch (error) {
  told.error = error.message;
}

const hearer = redis.duplicate();
await hearer.subscribe("js:channel");
const heard = new Promise((resolve) => hearer.on("message", (...words) => resolve(words)));
await redis.publish("js:channel", "hello");
told.channel = await heard;

console.log(JSON.stringify(told));
hearer.disconnect();
redis.disconnect();
