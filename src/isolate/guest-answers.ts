/** Child side: what a guest asks and its host answers at once, without asking anybody: random bytes and WHATWG URLs, both as text. */
export const answer = (kind: unknown, about: unknown): string => {
  if (kind === 'random' && typeof about === 'number') {
    // A part of Node's own program, so there is no file to open; most hosts never need it.
    const { randomBytes } = process.getBuiltinModule('node:crypto');
    return randomBytes(Math.min(about, 65_536)).toString('latin1');
  }
  if (kind === 'url' && typeof about === 'string' && about.length < 1_000_000) return resolveUrl(about);
  return '';
};

const URL_PARTS = [
  'href',
  'origin',
  'protocol',
  'username',
  'password',
  'host',
  'hostname',
  'port',
  'pathname',
  'search',
  'hash',
] as const;

const isUrlPart = (part: unknown): boolean => (URL_PARTS as readonly unknown[]).includes(part);

const resolveUrl = (request: string): string => {
  try {
    const [href, base, part, value] = JSON.parse(request) as [string, string | null | undefined, string?, string?];
    const url = new URL(href, base ?? undefined);
    if (isUrlPart(part) && value !== undefined) Reflect.set(url, String(part), value);
    return JSON.stringify(Object.fromEntries(URL_PARTS.map((name) => [name, url[name]])));
  } catch {
    return '';
  }
};
