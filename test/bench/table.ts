/** One table for every benchmark: columns as wide as their longest cell, numbers to the right. */
export const printTable = (head: readonly string[], rows: readonly (readonly string[])[]): void => {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  const isNumber = (cell: string): boolean => /^[\d.,×%-]+$/u.test(cell);
  for (const [index, row] of all.entries()) {
    const cells = row.map((cell, column) => {
      const width = widths[column] ?? 0;
      return index > 0 && isNumber(cell) ? cell.padStart(width) : cell.padEnd(width);
    });
    console.log(cells.join('  ').trimEnd());
    if (index === 0) console.log(widths.map((width) => '-'.repeat(width)).join('  '));
  }
};
