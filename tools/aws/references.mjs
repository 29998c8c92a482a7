// Follows what refers to something else in a template: Ref, GetAtt, Sub, If, FindInMap, Condition, DependsOn.
import { intrinsic, walk } from './template.mjs';
import { resource } from './spec.mjs';

const pseudo = ['AccountId', 'NoValue', 'NotificationARNs', 'Partition', 'Region', 'StackId', 'StackName', 'URLSuffix'].map((p) => 'AWS::' + p);
const sections = ['AWSTemplateFormatVersion', 'Description', 'Metadata', 'Parameters', 'Mappings', 'Conditions', 'Resources', 'Outputs'];

/** What is wrong with a template's references, and which of its parameters, conditions and mappings nobody uses. */
export function checkReferences(template) {
  const problems = [];
  const { Parameters = {}, Conditions = {}, Mappings = {}, Resources = {}, Outputs = {} } = template;
  const used = new Set();
  for (const s of Object.keys(template)) if (!sections.includes(s)) problems.push(`there is no section ${s}`);

  const ref = (name, path, own = {}) => {
    used.add(name);
    if (!(name in Parameters) && !(name in Resources) && !pseudo.includes(name) && !(name in own)) problems.push(`${path} refers to ${name}, which is not there`);
  };
  const attribute = (name, attr, path) => {
    if (!(name in Resources)) problems.push(`${path} refers to ${name}, which is no resource`);
    else if (resource(Resources[name].Type)?.attributes[attr] === undefined) problems.push(`${path}: ${Resources[name].Type} has no attribute ${attr}`);
  };
  const condition = (name, path) => {
    used.add(name);
    if (!(name in Conditions)) problems.push(`${path} names the condition ${name}, which is not there`);
  };
  const sub = (arg, path) => {
    const [text, own] = Array.isArray(arg) ? arg : [arg, {}];
    for (const [, literal, name] of String(text).matchAll(/\$\{(!?)([^}]*)\}/g)) {
      if (literal) continue;
      if (name.includes('.')) attribute(...name.split(/\.(.*)/).slice(0, 2), path);
      else ref(name, path, own);
    }
    for (const name of Object.keys(own)) if (!String(text).includes('${' + name + '}')) problems.push(`${path} gives ${name}, which its text does not have`);
  };

  walk({ Conditions, Resources, Outputs }, (v, path) => {
    const call = intrinsic(v);
    if (call === undefined) {
      // A placeholder outside of Sub stays as it is. In a state machine's definition DefinitionSubstitutions may mean it.
      if (typeof v === 'string' && v.includes('${AWS::') && !/\.Fn::Sub(\.0)?$/.test(path)) problems.push(`${path} has a placeholder and no Sub`);
      return;
    }
    const [name, arg] = call;
    if (name === 'Ref') ref(arg, path);
    if (name === 'Fn::GetAtt') attribute(arg[0], arg[1], path);
    if (name === 'Fn::Sub') sub(arg, path);
    if (name === 'Fn::If') condition(arg[0], path);
    if (name === 'Fn::FindInMap') {
      used.add(arg[0]);
      const rows = Object.values(Mappings[arg[0]] ?? {});
      if (rows.length === 0 || !rows.every((row) => arg[2] in row)) problems.push(`${path}: not every row of ${arg[0]} has ${arg[2]}`);
      const allowed = Parameters[arg[1]?.Ref]?.AllowedValues ?? [];
      for (const value of allowed) if (!(value in (Mappings[arg[0]] ?? {}))) problems.push(`${path}: ${arg[0]} has no row ${value}`);
    }
  });
  for (const [name, r] of [...Object.entries(Resources), ...Object.entries(Outputs)]) {
    if (r.Condition !== undefined) condition(r.Condition, name);
    for (const d of [r.DependsOn ?? []].flat()) if (!(d in Resources)) problems.push(`${name} depends on ${d}, which is not there`);
  }
  for (const name of [...Object.keys(Parameters), ...Object.keys(Conditions), ...Object.keys(Mappings)]) if (!used.has(name)) problems.push(`nobody uses ${name}`);
  for (const [name, p] of Object.entries(Parameters)) {
    if (!p.Description) problems.push(`parameter ${name} has no description`);
    if (p.Default !== undefined && p.AllowedValues && !p.AllowedValues.map(String).includes(String(p.Default))) problems.push(`the default of parameter ${name} is not allowed`);
    if (p.Default !== undefined && p.AllowedPattern && !new RegExp(`^(?:${p.AllowedPattern})$`).test(p.Default)) problems.push(`the default of parameter ${name} does not match its pattern`);
  }
  return problems;
}
