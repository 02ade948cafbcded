/** Writes `sandbox-profiles/profile.schema.json` from the zod schema: `node test/kernel/generate-schema.ts && npx oxfmt sandbox-profiles`. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { profileJsonSchema } from '../../src/kernel/profile.ts';

const file = join(import.meta.dirname, '..', '..', 'sandbox-profiles', 'profile.schema.json');
writeFileSync(file, JSON.stringify(profileJsonSchema()));
