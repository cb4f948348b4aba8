import { tool, ToolError } from './vendor/tollgate-guest.js';

export const greet = tool({
  name: 'greet',
  description: 'Greets someone by name.',
  input: {
    type: 'object',
    properties: {
      name: { type: 'string', description: 'Who is greeted.' },
      title: { type: 'string', description: 'A title before the name.' },
    },
    required: ['name'],
    additionalProperties: false,
  },
  output: { type: 'string' },
}, ({ name, title }) => {
  if (!name.trim()) throw new ToolError('no-name', 'say who is greeted in `name`');
  return title ? `Hello, ${title} ${name}!` : `Hello, ${name}!`;
});
