// A client of kv_server by ioredis: ioredis.js PORT. Prints "ok", or fails at the first wrong reply.

const assert = require('assert');
const Redis = require('ioredis');

async function main(port) {
  const r = new Redis(port);
  assert.strictEqual(await r.set('io:a', 1), 'OK');
  assert.strictEqual(await r.incr('io:a'), 2);
  assert.strictEqual(await r.incrby('io:a', 4), 6);
  assert.strictEqual(await r.get('io:a'), '6');
  assert.deepStrictEqual(await r.mget('io:a', 'none'), ['6', null]);
  assert.deepStrictEqual(await r.multi().set('io:z', 1).incr('io:z').exec(), [[null, 'OK'], [null, 2]]);
  assert.deepStrictEqual(await r.pipeline().get('io:a').ttl('io:a').exec(), [[null, '6'], [null, -1]]);
  assert.ok((await r.scan(0, 'MATCH', 'io:*', 'COUNT', 100000))[1].includes('io:a'));
  assert.ok((await r.client('ID')) > 0);

  const sub = new Redis(port);
  const heard = [];
  let all;
  const both = new Promise((resolve) => { all = resolve; });
  const hear = (...words) => { if (heard.push(words) === 2) all(); };
  sub.on('message', hear);
  sub.on('pmessage', hear);
  assert.strictEqual(await sub.subscribe('io:c'), 1);
  assert.strictEqual(await sub.psubscribe('io:*'), 2);
  assert.strictEqual(await r.publish('io:c', 'hello'), 2);
  await both;
  assert.deepStrictEqual(heard, [['io:c', 'hello'], ['io:*', 'io:c', 'hello']]);
  await sub.ping();
  assert.strictEqual(await sub.unsubscribe('io:c'), 1);
  assert.strictEqual(await sub.punsubscribe(), 0);
  assert.strictEqual(await sub.get('io:a'), '6');
  r.disconnect();
  sub.disconnect();
  console.log('ok');
}

main(+process.argv[2]).catch((e) => { console.error(e); process.exit(1); });
