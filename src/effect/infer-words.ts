/** The words by which tools and their parameters say what they do, as real tool sets use them. */
import type { FileOperation } from '../model/effect.ts';

const set = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/u));

/** `readFile`, `read_file`, `fs.read-file`, `readFILE2` → `read`, `file`. */
export const wordsOf = (name: string): readonly string[] =>
  name
    .replaceAll(/([\p{Ll}\d])(\p{Lu})/gu, '$1 $2')
    .replaceAll(/(\p{Lu})(\p{Lu}\p{Ll})/gu, '$1 $2')
    .toLowerCase()
    .split(/[^\p{L}\d]+/u)
    .filter((word) => word !== '');

export const bareName = (name: string): string => name.toLowerCase().replaceAll(/[^\p{L}\d]/gu, '');

export const MAIL_WORDS = set(
  'mail email emails gmail outlook smtp sendgrid ses mailgun postmark resend nodemailer newsletter mailer mails',
);
export const DATABASE_WORDS = set(
  `sql db database databases postgres postgresql pg mysql mariadb sqlite bigquery snowflake redshift duckdb clickhouse mssql oracle
  supabase neon mongodb mongo collection table tables schema dbhub prisma cockroach rows row record records bq`,
);
export const SHELL_WORDS = set(
  `shell bash sh zsh terminal cmd command commands exec execute powershell console process subprocess spawn kubectl
  docker ssh cli interpreter repl sandbox`,
);
export const CODE_WORDS = set(
  'python javascript js node typescript ruby php code script eval evaluate jupyter notebook ipython lambda wasm',
);
export const FETCH_WORDS = set(
  'fetch http https request requests url browse browser navigate scrape crawl curl wget webhook webpage goto rest api openapi visit website page',
);
export const FILE_WORDS = set(
  `file files directory directories dir folder folders path paths filesystem fs disk workspace repo repository document
  pdf csv image spreadsheet notebook symlink glob tree`,
);
/** Files that are somewhere else: the place is named by other arguments. */
export const REMOTE_MARKS = set(
  `owner repoowner fileid driveid bucket bucketname pageid spreadsheetid documentid projectid siteid workspaceid teamid channelid
  messageid issuenumber pullnumber gistid blobid folderid attachmentid artifactid objectkey noteid presentationid`,
);

const READ_VERBS = set(
  `read get list ls cat view show search find grep glob stat info tree load check exists describe head tail diff status log
  inspect query lookup count browse explore analyze analyse parse extract summarize summarise validate lint preview open
  scan index compare hash size display print retrieve detect ocr transcribe classify measure metadata recent history
  upload attach import publish blame allowed`,
);
const WRITE_VERBS = set(
  `write save create edit update delete remove rm unlink move mv rename copy cp mkdir append insert replace patch apply put set
  chmod chown touch truncate download export generate convert compress extract unzip zip untar install build make restore clear
  reset checkout commit push pull clone merge rebase init add stash tag format fix refactor overwrite modify change erase drop
  purge symlink link undo redo record sync run execute exec send post upsert store dump render screenshot rotate`,
);

const OPERATIONS: readonly (readonly [ReadonlySet<string>, FileOperation])[] = [
  [set('delete remove rm unlink erase purge rmdir'), 'remove'],
  [set('move mv rename'), 'rename'],
  [set('copy cp duplicate clone'), 'copy'],
  [set('mkdir'), 'mkdir'],
  [set('append'), 'append'],
  [set('symlink link hardlink'), 'link'],
  [set('chmod chown'), 'chmod'],
  [set('truncate'), 'truncate'],
  [set('touch'), 'utimes'],
];

/** What a tool of these words does to a path it is given: writing, unless only reading verbs are among them. */
export const fileOperationOf = (words: readonly string[]): FileOperation => {
  const named = OPERATIONS.find(([verbs]) => words.some((word) => verbs.has(word)));
  if (named !== undefined) return named[1];
  const verb = words.find((word) => READ_VERBS.has(word) || WRITE_VERBS.has(word));
  const creates =
    words.includes('create') && words.some((word) => word === 'directory' || word === 'dir' || word === 'folder');
  if (creates) return 'mkdir';
  if (verb === undefined || namesWriting(words)) return 'write';
  if (words.some((word) => word === 'list' || word === 'ls' || word === 'tree' || word === 'glob')) return 'list';
  return words.some((word) => word === 'stat' || word === 'info' || word === 'exists' || word === 'metadata')
    ? 'stat'
    : 'read';
};

export const namesWriting = (words: readonly string[]): boolean =>
  words.some((word) => WRITE_VERBS.has(word) && !READ_VERBS.has(word));

const SENDING = set('send sends reply forward draft drafts compose mailer notify deliver');
const TENDING = set(
  'delete trash modify label labels mark archive move filter filters unsubscribe attachment attachments folder folders sync',
);

/** Of a tool about mail: whether it sends some, rather than reads or tidies a mailbox. */
export const sendsMail = (words: readonly string[]): boolean =>
  words.some((word) => SENDING.has(word)) || !words.some((word) => READ_VERBS.has(word) || TENDING.has(word));

/** What a parameter holds. `generic` and `prose` get their meaning from the tool and from the value. */
export type ParameterKind =
  | 'path'
  | 'url'
  | 'host'
  | 'sql'
  | 'command'
  | 'code'
  | 'patch'
  | 'verb'
  | 'generic'
  | 'prose'
  | 'unknown';

const KINDS: readonly (readonly [ReadonlySet<string>, ParameterKind])[] = [
  [
    set(`path paths filepath filepaths filename filenames file files dir dirs directory directories folder folders cwd workdir workingdirectory
    workingdir root rootdir rootpath basepath repopath projectpath src source sourcepath sourcefile sourcedir dst dest destination
    destinationpath destpath target targetpath targetfile targetdir output outputpath outputfile outputdir outfile outdir inputpath
    inputfile inputdir infile savepath saveto localpath remotepath filepattern oldpath newpath from to absolutepath relativepath
    relativeworkspacepath searchpath notebookpath imagepath pdfpath csvpath dbpath databasepath logfile configpath configfile
    pathname fullpath downloadpath uploadpath attachments attachment document documentpath location oldfile newfile linkpath
    fromfile tofile frompath topath directorypath folderpath dirpath repo repository filelist include baseurlpath`),
    'path',
  ],
  [
    set(
      'url urls uri uris href link links webpage website site page pageurl baseurl targeturl sourceurl imageurl fileurl webhook webhookurl endpoint callback callbackurl address apiurl feedurl repourl remoteurl origin',
    ),
    'url',
  ],
  [set('host hostname server ip ipaddress'), 'host'],
  [
    set('sql sqlquery query_sql sqlstatement sqltext statement statements queries dbquery rawquery rawsql sqlcommand'),
    'sql',
  ],
  [
    set(
      'command commands cmd cmds cmdline commandline shell shellcommand bash argv program executable process exec run',
    ),
    'command',
  ],
  [
    set(
      'code pythoncode javascript jscode script scripts source_code sourcecode snippet program_code expression_code python js lambda',
    ),
    'code',
  ],
  [set('patch diff unifieddiff patchtext'), 'patch'],
  [set('action operation op mode method type verb subcommand intent'), 'verb'],
  [
    set(
      'input query q text arg args arg1 argument arguments value request payload param params data toolinput string body spec options config',
    ),
    'generic',
  ],
  [
    set(`content contents filetext newstr oldstr newstring oldstring newtext oldtext message messages prompt description title comment
    summary question answer html markdown subject note notes reason instruction instructions explanation thought goal task
    edits replacement caption name label topic keyword keywords pattern regex`),
    'prose',
  ],
];

const kinds = new Map<string, ParameterKind>(
  KINDS.flatMap(([names, kind]) => [...names].map((name) => [bareName(name), kind] as const)),
);

export const kindOfName = (name: string): ParameterKind => {
  const bare = bareName(name);
  const known = kinds.get(bare);
  if (known !== undefined) return known;
  const last = wordsOf(name).at(-1) ?? '';
  if (/^(?:path|paths|file|files|filename|filepath|dir|dirs|directory|directories|folder|folders)$/u.test(last))
    return 'path';
  if (/^(?:url|urls|uri|href|link)$/u.test(last)) return 'url';
  if (/^(?:host|hostname)$/u.test(last)) return 'host';
  if (/^sql$/u.test(last)) return 'sql';
  if (/^(?:command|cmd|cmdline)$/u.test(last)) return 'command';
  if (/^(?:code|script)$/u.test(last)) return 'code';
  return 'unknown';
};

/** Tools known to touch nothing outside themselves, whatever they are given. */
export const PURE_TOOLS = set(
  `think sequentialthinking calculator calculate calc add subtract multiply divide sum getcurrenttime converttime getcurrentdate
  currenttime gettime getdate echo wordcount randomnumber uuid`,
);
