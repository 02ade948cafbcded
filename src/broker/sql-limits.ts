/** Collects rows until a limit is reached; what is beyond it is never fetched. */

export type SqlRow = Readonly<Record<string, unknown>>;

export interface SqlResult {
  readonly rows: readonly SqlRow[];
  /** Rows changed by an INSERT, UPDATE or MERGE; otherwise the rows handed out. */
  readonly rowCount: number;
  /** True when a limit cut the rows off. */
  readonly truncated: boolean;
}

const bytesOf = (value: unknown): number => {
  if (typeof value === 'string') return value.length + 2;
  if (value === null || typeof value === 'boolean') return 5;
  if (typeof value === 'number' || typeof value === 'bigint' || value instanceof Date) return 24;
  if (ArrayBuffer.isView(value)) return value.byteLength;
  if (typeof value !== 'object') return 8;
  let bytes = 2;
  for (const [key, inner] of Object.entries(value)) bytes += key.length + 4 + bytesOf(inner);
  return bytes;
};

/** The size of a row, roughly as JSON. */
export const rowBytes = (row: SqlRow): number => bytesOf(row);

export const collect = async (
  batches: AsyncIterable<{ readonly rows: readonly SqlRow[]; readonly affected?: number }>,
  { maxRows, maxBytes }: { readonly maxRows: number; readonly maxBytes: number },
): Promise<SqlResult> => {
  const rows: SqlRow[] = [];
  let bytes = 0;
  let affected: number | undefined;
  for await (const batch of batches) {
    affected = batch.affected ?? affected;
    for (const row of batch.rows) {
      bytes += rowBytes(row);
      if (rows.length >= maxRows || bytes > maxBytes)
        return { rows, rowCount: affected ?? rows.length, truncated: true };
      rows.push(row);
    }
  }
  return { rows, rowCount: affected ?? rows.length, truncated: false };
};
