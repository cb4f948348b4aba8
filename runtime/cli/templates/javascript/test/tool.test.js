import assert from 'node:assert/strict';
import { test } from 'node:test';

import { greet } from '../tool.js';
import { invoke } from '../vendor/tollgate-guest.js';

test('greets', () => {
  assert.equal(greet({ name: 'Ada' }), 'Hello, Ada!');
  assert.equal(greet({ name: 'Ada', title: 'Dr.' }), 'Hello, Dr. Ada!');
});

test('refuses nobody', () => {
  assert.throws(() => greet({ name: ' ' }), { code: 'no-name' });
});

test('answers as the host calls it', async () => {
  assert.equal(await invoke('greet', '{"name": "Ada"}'), '"Hello, Ada!"');
});
