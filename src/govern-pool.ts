/**
 * Door-internal: a `pg` Pool through which only what the `db` flag allows gets to the server, whichever way it is asked:
 * `pool.query`, clients from `connect()`, promises, callbacks, query objects, named statements, cursors. What is not known
 * to be harmless on a pool or client is not there.
 */
import type { DbFlag } from './model/flags.ts';
import { type OptionRules, requireOptions } from './model/options.ts';
import type { SqlDecision, SqlOptions } from './model/sql.ts';
import { prepareSqlNow } from './check-sql.ts';
import { parseFlags } from './policy/flags.ts';
import { judgeSql } from './policy/sql.ts';
import { requireHarmless, sqlDenied } from './sql-denied.ts';

export interface GovernPoolOptions extends SqlOptions {
  /** Told of every decision, before anything is sent. */
  readonly onDecision?: (decision: SqlDecision) => void;
}

const OPTIONS: OptionRules<GovernPoolOptions> = {
  onDecision: true,
  harmlessFunctions: true,
  catalogue: true,
};

type Method = (...args: unknown[]) => unknown;
interface Emitter {
  query: Method;
}

/** BEGIN and its like, alone in their text: the program's own bookkeeping, which cannot widen what is allowed. */
const TRANSACTION =
  /^\s*(?:begin|start\s+transaction|commit|end|rollback|abort|savepoint\s+\w+|release\s+(?:savepoint\s+)?\w+|rollback\s+to\s+(?:savepoint\s+)?\w+)(?:\s+(?:work|transaction))?(?:\s+isolation\s+level\s+(?:serializable|repeatable\s+read|read\s+committed))?(?:\s+read\s+only)?\s*;?\s*$/iu;

/** Members that neither send statements nor hand out what does. */
const POOL_MEMBERS = new Set(['totalCount', 'idleCount', 'waitingCount', 'expiredCount', 'ended', 'ending', 'end']);
const CLIENT_MEMBERS = new Set(['processID', 'release', 'escapeIdentifier', 'escapeLiteral', 'getTransactionStatus']);
const EMITTER_MEMBERS = new Set([
  'on',
  'once',
  'addListener',
  'prependListener',
  'off',
  'removeListener',
  'removeAllListeners',
  'listenerCount',
]);

/** The flag that `flags` names; unusable text denies everything, as the caller asked for a rule that cannot be read. */
const levelOf = (flags: string | { readonly db?: DbFlag }): DbFlag => {
  const parsed = parseFlags(flags);
  const unusable = parsed.ignored.length > 0;
  return unusable ? 'block' : parsed.flags.db;
};

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

/** The text of a query object that submits itself (pg-cursor, pg-query-stream), fixed so that it stays what was judged. */
const submittedText = (query: Record<string, unknown>): unknown => {
  const holder = isObject(query['cursor']) ? query['cursor'] : query;
  const { value } = Object.getOwnPropertyDescriptor(holder, 'text') ?? {};
  if (typeof value === 'string') Object.defineProperty(holder, 'text', { value, writable: false, configurable: false });
  return value;
};

/** What `pg` is given instead: read once, so that it cannot change between the decision and the sending. */
const fixed = (query: Record<string, unknown>): Record<string, unknown> => {
  const copy: Record<string, unknown> = {};
  for (const key of [
    'text',
    'values',
    'name',
    'rowMode',
    'types',
    'queryMode',
    'rows',
    'portal',
    'binary',
    'callback',
    'query_timeout',
  ]) {
    const value = query[key];
    if (value !== undefined) copy[key] = value;
  }
  return copy;
};

/**
 * Wraps a `pg` Pool. `flags` is a flag text or record; only `db` counts (default `safe_write`), and text that cannot be
 * used denies everything. A denied statement rejects with `PolicyBlockError`, or calls back with it, and is never sent.
 * Clients of a `read_only` pool are in `default_transaction_read_only` while they are out.
 */
export const governPool = <Pool extends object>(
  pool: Pool,
  flags: string | { readonly db?: DbFlag },
  given: GovernPoolOptions = {},
): Pool => {
  requireOptions('governPool', given, OPTIONS);
  const { onDecision, ...options } = given;
  const level = levelOf(flags);
  requireHarmless(options.harmlessFunctions);
  prepareSqlNow();
  const secondWall = level === 'read_only';

  const judged = (text: unknown): SqlDecision => {
    const harmlessTransaction = typeof text === 'string' && level !== 'block' && TRANSACTION.test(text);
    const decision = harmlessTransaction
      ? { allowed: true, detections: [], statements: [] }
      : judgeSql(text as string, level, options);
    onDecision?.(decision);
    return decision;
  };

  /** `query` of a pool or client, in all of its forms. */
  const governedQuery =
    (send: Method): Method =>
    (first, ...rest) => {
      let query: unknown = first;
      let text: unknown = first;
      if (isObject(first)) {
        const submits = typeof first['submit'] === 'function';
        if (!submits) query = fixed(first);
        text = submits ? submittedText(first) : (query as Record<string, unknown>)['text'];
      }
      const decision = judged(text);
      if (decision.allowed) return send(query, ...rest);
      const error = sqlDenied(decision, 'pg.query');
      const callback = [...rest, isObject(query) ? query['callback'] : undefined].findLast(
        (value) => typeof value === 'function',
      );
      if (callback !== undefined) {
        queueMicrotask(() => {
          (callback as Method)(error);
        });
        return undefined;
      }
      if (isObject(first) && typeof first['submit'] === 'function') throw error;
      return Promise.reject(error);
    };

  const proxies = new WeakMap<object, object>();
  const proxyOf = (target: object, members: ReadonlySet<string>, special: Readonly<Record<string, Method>>): object => {
    const known = proxies.get(target);
    if (known !== undefined) return known;
    const hidden = (key: string | symbol): never => {
      throw new TypeError(`\`${String(key)}\` of a governed pool is not available: it could go round the \`db\` flag`);
    };
    const listeners = new WeakMap<object, Method>();
    /** Listeners get governed clients, and the governed emitter as `this`. */
    const listener = (original: Method): Method => {
      const wrapped = listeners.get(original) ?? ((...args) => Reflect.apply(original, proxy, args.map(wrapClient)));
      listeners.set(original, wrapped);
      return wrapped;
    };
    const read = (key: string | symbol): unknown => {
      if (typeof key === 'symbol') return key === Symbol.toStringTag ? 'GovernedPool' : undefined;
      const own = Object.hasOwn(special, key) ? special[key] : undefined;
      if (own !== undefined) return own;
      // A promise is awaited by asking for `then`.
      if (key === 'then') return undefined;
      if (!members.has(key) && !EMITTER_MEMBERS.has(key)) return hidden(key);
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => {
        const passed = EMITTER_MEMBERS.has(key)
          ? args.map((argument) => (typeof argument === 'function' ? listener(argument as Method) : argument))
          : args;
        const result: unknown = Reflect.apply(value, target, passed);
        return result === target ? proxy : result;
      };
    };
    const proxy: object = new Proxy(Object.create(null) as object, {
      get: (_, key) => read(key),
      has: (_, key) => typeof key === 'string' && (Object.hasOwn(special, key) || members.has(key)),
      set: (_, key) => hidden(key),
      defineProperty: (_, key) => hidden(key),
      deleteProperty: (_, key) => hidden(key),
      getPrototypeOf: () => null,
    });
    proxies.set(target, proxy);
    return proxy;
  };

  const isClient = (value: unknown): value is Emitter & object =>
    isObject(value) && typeof value['query'] === 'function';

  const wrapClient = (value: unknown): unknown => {
    if (!isClient(value)) return value;
    return proxyOf(value, CLIENT_MEMBERS, { query: governedQuery((...args) => value.query(...args)) });
  };

  const raw = pool as unknown as { query: Method; connect: (callback?: Method) => Promise<unknown> };
  /** A client of the pool whose every transaction the server keeps from writing, until it is released. */
  const checkOut = async (): Promise<Record<string, unknown>> => {
    const client = (await raw.connect()) as Record<string, unknown>;
    if (!secondWall) return client;
    const release = client['release'] as Method;
    const send = client['query'] as Method;
    try {
      await Reflect.apply(send, client, ['SET default_transaction_read_only = on']);
    } catch (error) {
      Reflect.apply(release, client, [true]);
      throw error;
    }
    client['release'] = (destroy?: unknown): void => {
      client['release'] = release;
      if (destroy !== undefined && destroy !== false) {
        Reflect.apply(release, client, [destroy]);
        return;
      }
      // An open transaction must not go back into the pool with the wall still up or already down.
      (Reflect.apply(send, client, ['ROLLBACK; RESET default_transaction_read_only']) as Promise<unknown>).then(
        () => Reflect.apply(release, client, []),
        () => Reflect.apply(release, client, [true]),
      );
    };
    return client;
  };

  const connect: Method = (callback) => {
    const client = checkOut().then(wrapClient);
    if (typeof callback !== 'function') return client;
    settle(client, callback as Method, (governed) => [
      (destroy: unknown) => (governed as { release: Method }).release(destroy),
    ]);
    return undefined;
  };

  const query: Method = (...args) => {
    if (isObject(args[0]) && typeof args[0]['submit'] === 'function') {
      throw new TypeError(
        'Expected a text or a config; a cursor or query stream needs a client of its own: `await pool.connect()`',
      );
    }
    if (!secondWall) return raw.query(...args);
    const plain = args.filter((value) => typeof value !== 'function');
    const answer = (async () => {
      const client = await checkOut();
      try {
        return await Reflect.apply(client['query'] as Method, client, plain);
      } finally {
        (client['release'] as Method)();
      }
    })();
    const callback = args.findLast((value) => typeof value === 'function');
    if (callback === undefined) return answer;
    settle(answer, callback as Method);
    return undefined;
  };

  return proxyOf(pool, POOL_MEMBERS, { query: governedQuery(query), connect }) as Pool;
};

/** Calls `callback` as node does, outside of the promise, so that what it throws is its own. */
const settle = (
  pending: Promise<unknown>,
  callback: Method,
  more: (value: unknown) => readonly unknown[] = () => [],
): void => {
  const run = async (): Promise<void> => {
    let outcome: readonly unknown[];
    try {
      const value = await pending;
      outcome = [undefined, value, ...more(value)];
    } catch (error) {
      outcome = [error];
    }
    queueMicrotask(() => {
      callback(...outcome);
    });
  };
  void run();
};
