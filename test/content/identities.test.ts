/** Numbers of authorities, as they or others publish them for examples: each is found, and with one sign changed it is not. */
import { describe, expect, test } from 'vitest';
import { DIGIT_RULES } from '../../src/content/identity-numbers.ts';
import { TOKEN_RULES } from '../../src/content/identity-rules.ts';
import { createContentScanner } from '../../src/content/scanner.ts';

const scanner = createContentScanner({ pii: 'mask' });
const rulesIn = (text: string): readonly string[] => scanner.inspect(text).spans.map(({ rule }) => rule);

/** By rule: as it stands in a text, and what it must not be taken for: another check digit, or without the word that names it. */
const EXAMPLES: Readonly<Record<string, readonly (readonly [found: string, not: string])[]>> = {
  'us-itin': [
    ['912-70-1234', '912-69-1234'],
    ['tax id 912701234', 'tax id 912691234'],
  ],
  'se-personnummer': [['811228-9874', '811228-9875']],
  'kr-rrn': [['960121-3019194', '961321-3019194']],
  'za-id': [['8001015009087', '8001015009088']],
  'th-tnin': [['1-2345-67890-12-1', '1-2345-67890-12-2']],
  'ch-ahv': [['756.9217.0769.85', '756.9217.0769.86']],
  'be-national': [
    ['85.07.30-033.28', '85.07.30-033.29'],
    ['85073003328', '85073003329'],
  ],
  'fr-nir': [
    ['1 84 12 76 451 089 46', '1 84 12 76 451 089 47'],
    ['184127645108946', '184127645108947'],
  ],
  'tr-national': [['10000000146', '10000000147']],
  'pl-pesel': [['44051401359', '44051401358']],
  'br-cpf': [
    ['529.982.247-25', '529.982.247-26'],
    ['52998224725', '52998224726'],
  ],
  'de-tax': [
    ['86095742719', '86095742718'],
    ['86 095 742 719', '86 095 742 718'],
  ],
  'au-abn': [
    ['51824753556', '51824753557'],
    ['51 824 753 556', '51 824 753 557'],
  ],
  'it-vat': [['partita iva 00743110157', 'partita iva 00743110158']],
  'in-aadhaar': [
    ['2341 2341 2346', '2341 2341 2347'],
    ['aadhaar 234123412346', 'aadhaar 234123412347'],
  ],
  'ng-nin': [['nin 12345678902', 'nin 12345678903']],
  'ca-sin': [
    ['130-692-544', '130-692-545'],
    ['sin 130 692 544', 'sin 130 692 545'],
    ['sin 130692544', 'number 130692544'],
  ],
  'au-tfn': [
    ['123 456 782', '123 456 783'],
    ['tfn 123456782', 'tfn 123456783'],
  ],
  'au-acn': [
    ['004 085 616', '004 085 617'],
    ['acn 004085616', 'acn 004085617'],
  ],
  'nl-bsn': [['bsn 111222333', 'bsn 111222334']],
  'de-lanr': [['lanr 123456601', 'lanr 123457601']],
  'se-organisation': [
    ['orgnummer 556016-0680', 'orgnummer 556016-0681'],
    ['orgnummer 5560160680', 'orgnummer 5560160681'],
  ],
  'us-routing': [
    ['routing number 111000025', 'routing number 111000026'],
    ['1110-0002-5', '1110-0002-6'],
  ],
  'au-medicare': [
    ['2123 45670 1', '2123 45671 1'],
    ['medicare 2123456701', 'medicare 2123456711'],
  ],
  'uk-nhs': [
    ['401 023 2137', '401 023 2138'],
    ['nhs 943 476 5919', 'nhs 943 476 5918'],
    ['nhs 9434765919', 'nhs 9434765918'],
  ],
  'us-npi': [
    ['npi 1234567893', 'npi 1234567894'],
    ['1234-567-893', '1234-567-894'],
  ],
  'kr-brn': [['220-81-62517', '220-81-62518']],
  'us-account': [
    ['account number 1234567890', 'number 1234567890'],
    ['account number 123456789012', 'number 123456789012'],
  ],
  'fi-hetu': [['131052-308T', '131052-308U']],
  'iban-mod97': [['GB29 NWBK 6016 1331 9268 19', 'GB28 NWBK 6016 1331 9268 19']],
  'es-nif': [['12345678Z', '12345678A']],
  'es-nie': [['X1234567L', 'X1234567M']],
  'it-fiscal-code': [['RSSMRA85T10A562S', 'RSSMRA85T10A562T']],
  'uk-nino': [
    ['AB123456C', 'BG123456C'],
    ['AB 12 34 56 C', 'GB 12 34 56 C'],
  ],
  'sg-nric': [['S1234567D', 'S1234567E']],
  'cn-resident': [['11010519491231002X', '110105194912310021']],
  'mx-curp': [['HEGG560427MVZRRL04', 'HEGG561327MVZRRL04']],
  'de-social-security': [['15070649C103', '15070649C104']],
  'de-id-card': [
    ['T220001293', 'T220001294'],
    ['ausweis T22000129', 'code T22000129'],
  ],
  'in-voter': [['voter id ABC1234567', 'code ABC1234567']],
  'it-id-card': [['id card CA12345AB', 'code CA12345AB']],
  'in-pan': [['ABCPE1234F', 'ABCDE1234F']],
  'in-gstin': [['27AAPFU0939F1ZV', '27AAPFU0939F1ZW']],
  'sg-uen': [['uen 53125226D', 'uen 53125226E']],
  'us-mbi': [['1EG4-TE5-MK73', '1EG4-TE5-MB73']],
  'de-health-insurance': [['A123456780', 'A123456781']],
  'us-dea': [['AB1234563', 'AB1234564']],
  'uk-driving-licence': [['MORGA657054SM9IJ', 'MORGA677054SM9IJ']],
  bitcoin: [['btc 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa', 'code 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa']],
};

test('every rule has an example', () => {
  const all = new Set([...DIGIT_RULES, ...TOKEN_RULES].map(({ rule }) => rule));
  expect([...all].filter((rule) => EXAMPLES[rule] === undefined)).toEqual([]);
});

describe.each(Object.entries(EXAMPLES))('%s', (rule, pairs) => {
  test.each(pairs)('%s, and not %s', (found, not) => {
    expect(rulesIn(`see ${found}, please`)).toContain(rule);
    expect(rulesIn(`see ${not}, please`)).not.toContain(rule);
  });
});
