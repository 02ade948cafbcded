/** What the name, description and schema of a tool say about all of its calls; worked out once. */
import type { FileOperation } from '../model/effect.ts';
import {
  bareName,
  CODE_WORDS,
  DATABASE_WORDS,
  FETCH_WORDS,
  FILE_WORDS,
  fileOperationOf,
  kindOfName,
  MAIL_WORDS,
  namesWriting,
  PURE_TOOLS,
  REMOTE_MARKS,
  sendsMail,
  SHELL_WORDS,
  wordsOf,
  type ParameterKind,
} from './infer-words.ts';

export interface InferableTool {
  readonly name: string;
  readonly description?: string;
  /** JSON schema of the arguments, where the tool has one. */
  readonly schema?: unknown;
  /** Names of positional parameters, from the function's source. */
  readonly parameterNames?: readonly string[];
}

export interface Traits {
  readonly words: readonly string[];
  readonly names: readonly string[] | undefined;
  readonly operation: FileOperation;
  /** About mail, and sending some. */
  readonly mail: boolean;
  readonly sends: boolean;
  readonly database: boolean;
  readonly dialect: string;
  readonly shell: boolean;
  readonly code: boolean;
  readonly fetch: boolean;
  readonly file: boolean;
  readonly remote: boolean;
  readonly pure: boolean;
  /** Parameters whose schema lists the values they may have: `command: 'view' | 'create'` is a verb, not a command. */
  readonly enums: ReadonlySet<string>;
  /** Parameters that the tool itself names. */
  readonly declared: ReadonlySet<string>;
  /** One of the editors whose `command` is a verb although they come without a schema. */
  readonly editor: boolean;
  /** The words name an act that changes something. */
  readonly writes: boolean;
  /** What a parameter of this name holds. */
  readonly keyOf: (name: string) => KeyTraits;
}

export interface KeyTraits {
  readonly kind: ParameterKind;
  /** Names a table or collection: the tool is about a database. */
  readonly table: boolean;
  /** Says what is done, rather than to what: `action`, `mode`. */
  readonly verb: boolean;
}

const QUERY_WORDS = new Set(['query', 'queries', 'sql', 'statement']);
const MYSQL_WORDS = new Set(['mysql', 'mariadb']);
const TABLE_KEY = /^(?:table|tablename|collection|collectionname)$/u;

const has = (words: readonly string[], of: ReadonlySet<string>): boolean => words.some((word) => of.has(word));

export const traitsOf = ({ name, description = '', schema, parameterNames }: InferableTool): Traits => {
  const words = wordsOf(name);
  const properties = propertiesOf(schema);
  const parameters = [...Object.keys(properties), ...(parameterNames ?? [])];
  const described = description.slice(0, 2_000);
  const asksDatabase =
    has(words, QUERY_WORDS) && words.some((word) => word === 'execute' || word === 'run' || word === 'exec');
  const shell =
    !asksDatabase &&
    (has(words, SHELL_WORDS) ||
      /\b(?:run|execute)s?\b[^.]*\b(?:shell|bash|terminal|command|script)s?\b/iu.test(described)) &&
    !(has(words, DATABASE_WORDS) && !words.some((word) => word === 'shell' || word === 'bash'));
  const database =
    asksDatabase ||
    has(words, DATABASE_WORDS) ||
    /\bSQL\b|\bquer(?:y|ies)\b[^.]*\bdatabase\b/u.test(described) ||
    parameters.some((key) => TABLE_KEY.test(bareName(key)));
  const mail = has(words, MAIL_WORDS);
  const base = {
    words,
    names: parameterNames,
    operation: fileOperationOf(words),
    writes: namesWriting(words),
    mail,
    sends: mail && sendsMail(words),
    database,
    dialect: words.includes('sqlite') ? 'sqlite' : has(words, MYSQL_WORDS) ? 'mysql' : 'postgres',
    shell,
    code: has(words, CODE_WORDS),
    fetch: has(words, FETCH_WORDS),
    file: has(words, FILE_WORDS) || words.some((word) => word === 'ls' || word === 'cat' || word === 'mkdir'),
    remote: parameters.some((key) => REMOTE_MARKS.has(bareName(key))),
    pure: PURE_TOOLS.has(bareName(name)),
    enums: new Set(
      Object.entries(properties)
        .filter(([, property]) => isEnum(property))
        .map(([key]) => key),
    ),
    declared: new Set(parameters),
    editor: /^(?:str_replace_(?:based_)?edit(?:or|_tool)|memory|text_editor|editor)/u.test(name),
  };
  const keys = new Map<string, KeyTraits>();
  const keyOf = (key: string): KeyTraits => {
    const cached = keys.get(key);
    if (cached !== undefined) return cached;
    const bare = bareName(key);
    const kind = refined(key, bare, kindOfName(key), base);
    const about = { kind, table: TABLE_KEY.test(bare), verb: kind === 'verb' && bare !== 'type' && bare !== 'method' };
    // Callers choose keys: the memory of them is bounded.
    if (keys.size < 500 && key.length < 100) keys.set(key, about);
    return about;
  };
  return { ...base, keyOf };
};

/** The same name means something else in a tool about mail, or about a database. */
const refined = (name: string, bare: string, kind: ParameterKind, traits: Omit<Traits, 'keyOf'>): ParameterKind => {
  const { database, shell, code, file, mail, enums } = traits;
  if ((bare === 'from' || bare === 'to' || bare === 'location' || bare === 'include') && (mail || !file)) {
    return 'unknown';
  }
  if (mail && kind === 'path' && !/attach|file|path/u.test(bare)) return 'unknown';
  if (mail && kind === 'generic') return 'prose';
  if (bare === 'document' && database) return 'unknown';
  if ((kind === 'verb' || kind === 'command') && enums.has(name)) return 'verb';
  if ((bare === 'process' || bare === 'run' || bare === 'exec') && !shell) return 'unknown';
  if (kind === 'code' && database && !code) return 'sql';
  if (bare === 'statement' && !database) return 'generic';
  return kind;
};

export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' &&
  value !== null &&
  !Array.isArray(value) &&
  !(value instanceof Uint8Array) &&
  !(value instanceof URL);

const propertiesOf = (schema: unknown): Readonly<Record<string, unknown>> => {
  const properties = isRecord(schema) ? schema['properties'] : undefined;
  return isRecord(properties) ? properties : {};
};

const isEnum = (property: unknown): boolean =>
  isRecord(property) && (Array.isArray(property['enum']) || 'const' in property);
