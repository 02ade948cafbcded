#!/usr/bin/env node
/** Parses on any Node, so that an old one is told what is missing rather than shown a syntax error. */
const required = 24;
const major = Number(process.versions.node.split('.')[0]);

if (major < required) {
  console.error(
    `tappass: expected Node.js ${String(required)} or newer, got ${process.versions.node}. ` +
      'In this checkout, `npm run tappass -- …` uses the pinned one.',
  );
  process.exitCode = 4;
} else {
  const { main } = await import('./main.ts');
  process.exitCode = await main(process.argv.slice(2));
}
