/** One transaction at a time on a `pg` Pool or Client or on a PGlite, behind the few verbs that the broker needs. */

export interface PgAnswer {
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  readonly affected?: number;
}

/** A connection held for one transaction; `end` gives it back. */
export interface PgSession {
  /** Several statements without parameters; only texts of this package. */
  control(text: string): Promise<void>;
  /** One statement: more than one is refused by the extended protocol itself. */
  query(text: string, params: readonly unknown[]): Promise<PgAnswer>;
  /** Asks the server to stop what runs, where that is possible. */
  cancel(): Promise<void>;
  /** Commits or rolls back and gives the connection back; a broken one is destroyed. */
  end(commit: boolean): Promise<void>;
}

/** The members of `pg` that are used. */
interface PgClientLike {
  readonly processID?: number | null;
  query(config: string | { text: string; values: unknown[]; queryMode: 'extended' }): Promise<{
    rows: Record<string, unknown>[];
    rowCount: number | null;
    command?: string;
  }>;
}
interface PgPooledClientLike extends PgClientLike {
  release(destroy?: boolean): void;
}
interface PgPoolLike extends PgClientLike {
  connect(): Promise<PgPooledClientLike>;
  readonly totalCount: number;
}
interface PgliteTransactionLike {
  query(text: string, params: unknown[]): Promise<{ rows: Record<string, unknown>[]; affectedRows?: number }>;
  exec(text: string): Promise<unknown>;
  rollback(): Promise<void>;
}
export interface PgliteLike {
  readonly waitReady: Promise<void>;
  transaction<T>(body: (transaction: PgliteTransactionLike) => Promise<T>): Promise<T>;
}

const has = (value: unknown, ...methods: readonly string[]): boolean =>
  typeof value === 'object' &&
  value !== null &&
  methods.every((method) => typeof (value as Record<string, unknown>)[method] === 'function');

export const isPglite = (value: unknown): value is PgliteLike =>
  has(value, 'query', 'exec', 'transaction') && 'waitReady' in (value as object);

export const isPool = (value: unknown): value is PgPoolLike =>
  has(value, 'query', 'connect') && typeof (value as { totalCount?: unknown }).totalCount === 'number';

export const isPostgres = (value: unknown): value is PgPoolLike | PgClientLike =>
  isPool(value) || (has(value, 'query', 'connect', 'end') && 'connectionParameters' in (value as object));

/** Statements that change rows say how many; a SELECT's count is that of its rows. */
const CHANGES = new Set(['INSERT', 'UPDATE', 'DELETE', 'MERGE']);

const clientSession = (
  client: PgClientLike,
  cancel: () => Promise<void>,
  release: (broken: boolean) => void,
): PgSession => ({
  async control(text) {
    await client.query(text);
  },
  async query(text, params) {
    const { rows, rowCount, command } = await client.query({ text, values: [...params], queryMode: 'extended' });
    return { rows, ...(CHANGES.has(command ?? '') && rowCount !== null && { affected: rowCount }) };
  },
  cancel,
  async end(commit) {
    try {
      await client.query(commit ? 'COMMIT' : 'ROLLBACK');
      release(false);
    } catch (error) {
      release(true);
      if (commit) throw error;
    }
  },
});

const poolSession = async (pool: PgPoolLike): Promise<PgSession> => {
  const client = await pool.connect();
  const cancel = async (): Promise<void> => {
    if (typeof client.processID !== 'number') return;
    await pool.query({
      text: 'SELECT pg_catalog.pg_cancel_backend($1)',
      values: [client.processID],
      queryMode: 'extended',
    });
  };
  return clientSession(client, cancel, (broken) => {
    client.release(broken);
  });
};

const queues = new WeakMap<object, Promise<unknown>>();

/** A single Client serves one transaction after the other. */
const singleSession = async (client: PgClientLike): Promise<PgSession> => {
  const before = queues.get(client) ?? Promise.resolve();
  const { promise, resolve } = Promise.withResolvers<void>();
  queues.set(client, promise);
  await before;
  return clientSession(
    client,
    async () => undefined,
    () => {
      resolve();
    },
  );
};

const pgliteSession = async (db: PgliteLike): Promise<PgSession> => {
  const started = Promise.withResolvers<PgliteTransactionLike>();
  const ending = Promise.withResolvers<boolean>();
  const ended = db.transaction(async (transaction) => {
    started.resolve(transaction);
    if (!(await ending.promise)) await transaction.rollback();
  });
  ended.catch((error: unknown) => {
    started.reject(error);
  });
  const transaction = await started.promise;
  return {
    async control(text) {
      await transaction.exec(text);
    },
    async query(text, params) {
      const { rows, affectedRows } = await transaction.query(text, [...params]);
      return {
        rows,
        ...(affectedRows !== undefined && affectedRows > 0 && rows.length === 0 && { affected: affectedRows }),
      };
    },
    // It runs in this thread: nothing can reach it while it works.
    cancel: async () => undefined,
    async end(commit) {
      ending.resolve(commit);
      await ended;
    },
  };
};

/** `begin` starts the transaction where the connection does not do so by itself. */
export const openSession = async (connection: PgliteLike | PgPoolLike | PgClientLike): Promise<PgSession> => {
  if (isPglite(connection)) return pgliteSession(connection);
  const session = isPool(connection) ? await poolSession(connection) : await singleSession(connection);
  try {
    await session.control('BEGIN');
    return session;
  } catch (error) {
    await session.end(false);
    throw error;
  }
};
