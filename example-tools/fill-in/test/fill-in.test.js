import assert from 'node:assert/strict';
import { test } from 'node:test';

import { fill, placeholders } from '../tool.js';

test('a placeholder becomes the value of its name', () => {
  const template = 'Dear {{ name }}, you owe {{sum.amount}} {{sum.currency}}. {{name}}!';
  const values = { name: 'Ada', sum: { amount: 3, currency: 'EUR' } };
  assert.deepEqual(fill({ template, values }), { text: 'Dear Ada, you owe 3 EUR. Ada!', missing: [] });
});

test('what has no value stays and is listed once', () => {
  const values = { a: 1, n: null };
  const filled = fill({ template: '{{a}} {{b}} {{b}} {{n}} {{constructor}}', values });
  assert.deepEqual(filled, { text: '1 {{b}} {{b}} {{n}} {{constructor}}', missing: ['b', 'n', 'constructor'] });
});

test('a strict template with a name without value is refused', () => {
  assert.throws(() => fill({ template: '{{a}}{{b}}', values: {}, strict: true }), { code: 'missing-values', message: /a, b/ });
});

test('a value is not looked at for placeholders', () => {
  assert.equal(fill({ template: '{{a}}', values: { a: '{{b}} $1 $&', b: 2 } }).text, '{{b}} $1 $&');
});

test('names are listed in order', () => {
  assert.deepEqual(placeholders({ template: '{{b}} {{ a.c }} {{b}} {x}' }), ['b', 'a.c']);
});
