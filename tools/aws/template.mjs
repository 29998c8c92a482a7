// Reads CloudFormation templates. The short forms of YAML (!Ref a) become the long ones ({"Ref": "a"}), which is what JSON has.
import { readFileSync } from 'node:fs';
import { parseDocument } from 'yaml';

const functions = ['And', 'Base64', 'Cidr', 'Equals', 'FindInMap', 'GetAtt', 'GetAZs', 'If', 'ImportValue', 'Join', 'Not', 'Or', 'Select', 'Split', 'Sub'];

function long(name, value) {
  if (name === 'Fn::GetAtt' && typeof value === 'string') {
    const dot = value.indexOf('.');
    value = [value.slice(0, dot), value.slice(dot + 1)];
  }
  return { [name]: value };
}

const customTags = [['!Ref', 'Ref'], ['!Condition', 'Condition'], ...functions.map((f) => ['!' + f, 'Fn::' + f])].flatMap(([tag, name]) => [
  { tag, resolve: (text) => long(name, text) },
  { tag, collection: 'seq', resolve: (node) => long(name, node.toJSON()) },
  { tag, collection: 'map', resolve: (node) => long(name, node.toJSON()) },
]);

/** The template of a file, with long forms only. A mistake in the YAML, such as a key that comes twice, is an exception. */
export function read(file) {
  const text = readFileSync(file, 'utf8');
  const doc = parseDocument(text, { customTags, merge: true });
  if (doc.errors.length + doc.warnings.length > 0) {
    throw new Error(`${file}: ${[...doc.errors, ...doc.warnings].map((e) => e.message).join('\n')}`);
  }
  return doc.toJSON();
}

/** The name and the argument of an intrinsic function, or undefined if v is none. */
export function intrinsic(v) {
  if (v === null || typeof v !== 'object' || Array.isArray(v)) return undefined;
  const keys = Object.keys(v);
  if (keys.length !== 1) return undefined;
  if (keys[0] === 'Ref' || keys[0].startsWith('Fn::')) return [keys[0], v[keys[0]]];
  return undefined;
}

/** Calls visit(value, path) for v and everything in it. */
export function walk(v, visit, path = '') {
  visit(v, path);
  if (v !== null && typeof v === 'object') {
    for (const [key, value] of Object.entries(v)) walk(value, visit, path === '' ? key : `${path}.${key}`);
  }
}
