import { tool, ToolError } from './vendor/tollgate-guest.js';

// `{{name}}` or `{{person.name}}`, with or without spaces.
const PLACEHOLDER = /\{\{\s*([^{}\s]+)\s*\}\}/g;

const template = { type: 'string', description: 'Text with {{name}} or {{person.name}} where values go.' };

export const fill = tool({
  name: 'fill',
  description: 'Fills each {{placeholder}} of a template with the value of that name, and lists the names that have none.',
  input: {
    type: 'object',
    properties: {
      template,
      values: { type: 'object', description: 'Values by name; objects in it are reached by dots.' },
      strict: { type: 'boolean', description: 'Refuse if a value is missing.', default: false },
    },
    required: ['template', 'values'],
    additionalProperties: false,
  },
  output: {
    type: 'object',
    properties: { text: { type: 'string' }, missing: { type: 'array', items: { type: 'string' } } },
    required: ['text', 'missing'],
    additionalProperties: false,
  },
}, ({ template, values, strict = false }) => {
  const missing = new Set();
  const text = template.replace(PLACEHOLDER, (placeholder, name) => {
    const value = lookUp(values, name);
    if (value === undefined || value === null) {
      missing.add(name);
      return placeholder;
    }
    return typeof value === 'object' ? JSON.stringify(value) : String(value);
  });
  if (strict && missing.size > 0) {
    throw new ToolError('missing-values', `no value for ${[...missing].join(', ')}: add them to \`values\``);
  }
  return { text, missing: [...missing] };
});

export const placeholders = tool({
  name: 'placeholders',
  description: 'Lists the names of the {{placeholders}} of a template.',
  input: { type: 'object', properties: { template }, required: ['template'], additionalProperties: false },
  output: { type: 'array', items: { type: 'string' } },
}, ({ template }) => [...new Set([...template.matchAll(PLACEHOLDER)].map(([, name]) => name))]);

function lookUp(values, name) {
  // Own properties alone: a template must not reach `constructor` and the like.
  return name.split('.').reduce(
    (inner, key) => (inner !== null && typeof inner === 'object' && Object.hasOwn(inner, key) ? inner[key] : undefined),
    values,
  );
}
