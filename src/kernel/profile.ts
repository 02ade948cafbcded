/**
 * A sandbox profile as data: what may be read, written, started, reached and called, each line with its `why`. This file
 * says what may be written in one and joins it with what it `extends`; `compile.ts` turns the result into numbers.
 */
import { z } from 'zod';
import { TapPassConfigError } from '../model/errors.ts';
import { TIERS } from '../model/tier.ts';
import { isKnownSyscall } from './seccomp.ts';
import { ARGUMENT_VALUES, SYSCALL_GROUPS } from './syscalls/groups.ts';

/** `${RUNTIME}`: the files of this package that an isolate host loads; it may stand for several folders. */
export const VARIABLE_NAMES = ['WORKSPACE', 'TMP', 'NODE', 'HOME', 'RUNTIME'] as const;
export type VariableName = (typeof VARIABLE_NAMES)[number];

export const FILE_RIGHTS = ['read', 'execute', 'write', 'create', 'ioctl'] as const;
export type FileRight = (typeof FILE_RIGHTS)[number];

export const LAYERS = [
  'landlock',
  'landlock-net',
  'landlock-scope',
  'seccomp',
  'no-new-privs',
  'capabilities',
] as const;
export type Layer = (typeof LAYERS)[number];

const why = z.string().min(8).describe('Why this line exists: for the person who reviews the profile.');
const name = z.string().regex(/^[a-z][a-z0-9-]{0,62}$/u);

const path = z
  .string()
  .regex(/^(?:\/|\$\{[A-Z]+\}(?:\/|$))/u, 'Expected an absolute path or one that starts with a variable')
  .refine((text) => !text.includes('\0'), 'Expected a path without NUL')
  .refine(
    (text) => !/[*?[\]]/u.test(text),
    'Expected a path without a glob: Landlock rules bind real files and folders',
  )
  .refine(
    (text) => !text.split('/').some((part) => part === '..' || part === '.'),
    'Expected a path without `.` or `..`',
  )
  .refine(
    (text) => [...text.matchAll(/\$\{?(\w*)\}?/gu)].every(([, word]) => VARIABLE_NAMES.includes(word as VariableName)),
    `Expected only the variables ${VARIABLE_NAMES.map((variable) => `\${${variable}}`).join(', ')}`,
  );

const fileRule = z.strictObject({
  path,
  rights: z.array(z.enum(FILE_RIGHTS)).min(1),
  optional: z
    .boolean()
    .optional()
    .describe('True: nothing is granted, and nothing said, where the path does not exist.'),
  ownProc: z.boolean().optional().describe('True: only where the sandbox has a pid namespace and a /proc of its own.'),
  why,
});

const protectedRule = z.strictObject({
  path: path.optional(),
  named: z
    .string()
    .regex(/^[^/*?[\]\0]+\*?$/u)
    .optional()
    .describe(
      'A file name, or its beginning and a star: wherever it stands beneath ${HOME} (bounded search), outside ${WORKSPACE}.',
    ),
  why,
});

const commandRule = z.strictObject({
  names: z
    .array(z.string().regex(/^[^/\0]+$|^\/[^\0]*$/u))
    .min(1)
    .describe('Names looked up on PATH, or absolute paths.'),
  reads: z.array(path).optional().describe('Folders these commands need to read.'),
  executes: z.array(path).optional().describe('Folders of helper programs these commands start.'),
  why,
});

const port = z.int().min(1).max(65_535);
const network = z.strictObject({
  connect: z.union([z.literal('any'), z.array(port)]).describe('TCP ports that may be connected to, on any host.'),
  why,
});

const call = z
  .string()
  .refine(
    (text) => (text.startsWith('@') ? Object.hasOwn(SYSCALL_GROUPS, text.slice(1)) : isKnownSyscall(text)),
    'Expected the name of a system call, or @group',
  );
const value = z.union([
  z.int().min(0).max(0xffffffff),
  z
    .string()
    .refine((text) => Object.hasOwn(ARGUMENT_VALUES, text), 'Expected a number or a UAPI name this package knows'),
]);
const values = z.union([value, z.array(value).min(1)]);
const condition = z.strictObject({
  argument: z.int().min(0).max(5),
  mask: values.optional().describe('Bits that are compared; several are joined. Default: all 32.'),
  equals: values.optional().describe('One value, or several of which one must match.'),
  anyBits: values.optional().describe('Bits of which one must be set; several are joined.'),
});
const syscallRule = z.strictObject({
  calls: z.array(call).min(1),
  when: z.array(condition).min(1).optional(),
  action: z.enum(['allow', 'kill', 'EPERM', 'EACCES', 'ENOSYS']),
  in: z.enum(['new-process', 'running-process']).optional().describe('Only in this variant of the filter.'),
  why,
});

const positive = z.number().int().positive();
const limits = z.strictObject({
  memoryMb: positive.optional(),
  pids: positive.optional(),
  fileSizeMb: positive.optional(),
  outputBytes: positive.optional(),
  cpuSeconds: positive.optional(),
  openFiles: positive.optional(),
});

export const profileSchema = z.strictObject({
  $schema: z.string().optional(),
  name,
  description: z.string().min(8),
  tier: z
    .enum(TIERS)
    .optional()
    .describe('The tier whose authority this profile does not exceed. Absent: only to be extended.'),
  extends: z.string().optional().describe('Name of a built-in profile, or a path relative to this file.'),
  files: z.array(fileRule).optional(),
  protected: z.array(protectedRule).optional().describe('Never granted by any line, not even inside a granted folder.'),
  excluded: z
    .array(z.strictObject({ path, why }))
    .optional()
    .describe('Left out of wider grants; a line that names it, or something beneath it, still grants that.'),
  commands: z.union([z.literal('any'), z.array(commandRule)]).optional(),
  network: network.optional(),
  syscalls: z
    .strictObject({ fallback: z.enum(['allow', 'EPERM', 'ENOSYS']).optional(), rules: z.array(syscallRule) })
    .optional(),
  limits: limits.optional(),
  environment: z
    .array(z.strictObject({ names: z.array(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*\*?$/u)).min(1), why }))
    .optional(),
  namespaces: z.array(z.strictObject({ name: z.enum(['user', 'pid', 'ipc', 'mount', 'net']), why })).optional(),
  required: z.array(z.strictObject({ layer: z.enum(LAYERS), why })).optional(),
});

export type ProfileDocument = z.infer<typeof profileSchema>;
export type FileRule = z.infer<typeof fileRule>;
export type ProtectedRule = z.infer<typeof protectedRule>;
export type CommandRule = z.infer<typeof commandRule>;
export type NetworkRule = z.infer<typeof network>;
export type ProfileSyscallRule = z.infer<typeof syscallRule>;

/** A document joined with everything it extends: nothing optional is left but the tier of an abstract one. */
export interface Profile {
  readonly name: string;
  readonly description: string;
  readonly tier: (typeof TIERS)[number] | undefined;
  readonly files: readonly FileRule[];
  readonly protected: readonly ProtectedRule[];
  readonly excluded: readonly { readonly path: string; readonly why: string }[];
  readonly commands: 'any' | readonly CommandRule[];
  readonly network: NetworkRule;
  readonly syscalls: { readonly fallback: 'allow' | 'EPERM' | 'ENOSYS'; readonly rules: readonly ProfileSyscallRule[] };
  readonly limits: z.infer<typeof limits>;
  readonly environment: readonly { readonly names: readonly string[]; readonly why: string }[];
  readonly namespaces: readonly { readonly name: 'user' | 'pid' | 'ipc' | 'mount' | 'net'; readonly why: string }[];
  readonly required: readonly { readonly layer: Layer; readonly why: string }[];
}

/** The JSON schema that editors use; `sandbox-profiles/profile.schema.json` holds it. */
export const profileJsonSchema = (): unknown => z.toJSONSchema(profileSchema);

/** Throws TapPassConfigError that names the file, the place and what was expected. */
export const parseProfile = (value: unknown, source: string): ProfileDocument => {
  const parsed = profileSchema.safeParse(value);
  if (!parsed.success) {
    const faults = parsed.error.issues.map((issue) => `/${issue.path.map(String).join('/')}: ${issue.message}`);
    throw new TapPassConfigError(`Expected a sandbox profile in ${source}, got faults at ${faults.join('; ')}`, {
      code: 'TAPPASS_PROFILE_INVALID',
    });
  }
  for (const [index, rule] of (parsed.data.protected ?? []).entries()) {
    if ((rule.path === undefined) === (rule.named === undefined)) {
      throw invalid(source, `/protected/${String(index)}`, 'expected either `path` or `named`');
    }
  }
  for (const [index, rule] of (parsed.data.syscalls?.rules ?? []).entries()) {
    for (const condition of rule.when ?? []) {
      if ((condition.equals === undefined) === (condition.anyBits === undefined)) {
        throw invalid(source, `/syscalls/rules/${String(index)}/when`, 'expected either `equals` or `anyBits`');
      }
    }
  }
  return parsed.data;
};

export const profileFault = (message: string, code: string): TapPassConfigError =>
  new TapPassConfigError(message, { code });

const invalid = (source: string, pointer: string, fault: string): TapPassConfigError =>
  new TapPassConfigError(`Expected a sandbox profile in ${source}, got a fault at ${pointer}: ${fault}`, {
    code: 'TAPPASS_PROFILE_INVALID',
  });

const NOTHING: Profile = {
  name: 'nothing',
  description: 'grants nothing',
  tier: undefined,
  files: [],
  protected: [],
  excluded: [],
  commands: [],
  network: { connect: [], why: 'nothing was listed, and an empty list means none' },
  syscalls: { fallback: 'allow', rules: [] },
  limits: {},
  environment: [],
  namespaces: [],
  required: [],
};

/** `chain`: the document itself first, then what it extends, outermost last. The nearer one wins or comes first. */
export const joinProfiles = (chain: readonly ProfileDocument[]): Profile =>
  chain.reduceRight<Profile>(
    (under, over) => ({
      name: over.name,
      description: over.description,
      tier: over.tier,
      files: [...under.files, ...(over.files ?? [])],
      protected: [...under.protected, ...(over.protected ?? [])],
      excluded: [...under.excluded, ...(over.excluded ?? [])],
      commands: joinCommands(under.commands, over.commands),
      network: over.network ?? under.network,
      syscalls: {
        // What denies comes first and what allows last: a profile can narrow what it extends, never widen it.
        fallback: under.syscalls.fallback === 'allow' ? (over.syscalls?.fallback ?? 'allow') : under.syscalls.fallback,
        rules: joinRules(over, under),
      },
      limits: { ...under.limits, ...over.limits },
      environment: [...under.environment, ...(over.environment ?? [])],
      namespaces: [...under.namespaces, ...(over.namespaces ?? [])],
      required: [...under.required, ...(over.required ?? [])],
    }),
    NOTHING,
  );

const joinRules = (over: ProfileDocument, under: Profile): readonly ProfileSyscallRule[] => {
  const own = over.syscalls?.rules ?? [];
  // A document of its own keeps its order: a line that allows may stand before one that denies the rest.
  if (under.syscalls.rules.length === 0) return own;
  const allows = own.filter(({ action }) => action === 'allow');
  if (allows.length > 0 && under.syscalls.fallback !== 'allow') {
    throw profileFault(
      `Expected the profile \`${over.name}\` to narrow \`${under.name}\`, which lists the only calls it allows, got a line that allows ${String(allows[0]?.calls.join(', '))}`,
      'TAPPASS_PROFILE_EXCEEDS_TIER',
    );
  }
  return [...own.filter(({ action }) => action !== 'allow'), ...under.syscalls.rules, ...allows];
};

const joinCommands = (under: Profile['commands'], over: ProfileDocument['commands']): Profile['commands'] => {
  if (over === undefined) return under;
  return over === 'any' || under === 'any' ? over : [...under, ...over];
};
