// A client of kv_server by node-redis, in RESP2 and RESP3: node_redis.js PORT. Prints "ok", or fails at the first wrong
// reply. Versions before 5 have RESP2 only, whatever they are asked for.

const assert = require('assert');
const { createClient } = require('redis');

async function talk(port, RESP) {
  const c = createClient({ url: `redis://127.0.0.1:${port}`, RESP });
  await c.connect();
  await c.set('node:n', '5', { EX: 100 });
  assert.strictEqual(await c.incr('node:n'), 6);
  assert.strictEqual(await c.incrBy('node:n', 4), 10);
  assert.strictEqual(await c.get('node:n'), '10');
  assert.deepStrictEqual(await c.mGet(['node:n', 'none']), ['10', null]);
  assert.deepStrictEqual(await c.multi().set('node:q', '1').incr('node:q').exec(), ['OK', 2]);
  assert.strictEqual(await c.ttl('node:n'), 100);
  assert.deepStrictEqual({ ...(await c.configGet('save')) }, { save: '' });
  assert.ok((await c.keys('node:*')).includes('node:q'));

  const sub = c.duplicate();
  await sub.connect();
  const heard = [];
  let all;
  const both = new Promise((resolve) => { all = resolve; });
  const hear = (message, channel) => { if (heard.push([message, channel]) === 2) all(); };
  await sub.subscribe('node:c', hear);
  await sub.pSubscribe('node:*', hear);
  assert.strictEqual(await c.publish('node:c', 'hello'), 2);
  await both;
  assert.deepStrictEqual(heard, [['hello', 'node:c'], ['hello', 'node:c']]);
  await sub.unsubscribe('node:c');
  await sub.pUnsubscribe('node:*');
  await sub.quit();
  await c.quit();
}

async function main(port) {
  await talk(port, 2);
  await talk(port, 3);
  console.log('ok');
}

main(+process.argv[2]).catch((e) => { console.error(e); process.exit(1); });
