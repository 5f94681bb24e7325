import js from '@eslint/js';
import tseslint from 'typescript-eslint';

/** STYLE: time and chance come from clock.ts alone; no `any`; no console outside the command line. */
const REAL_TIME = [
  { object: 'Date', property: 'now', message: 'Take a Clock as an argument (src/clock.ts).' },
  { object: 'Math', property: 'random', message: 'Take a Random as an argument (src/clock.ts).' },
  { object: 'performance', property: 'now', message: 'Take a Clock as an argument (src/clock.ts).' },
];
const TIMERS = ['setTimeout', 'setInterval'].map((name) => ({
  name,
  message: 'Take a Clock as an argument (src/clock.ts).',
}));

export default tseslint.config(
  { ignores: ['dist', 'node_modules', 'coverage'] },
  js.configs.recommended,
  ...tseslint.configs.recommended,
  {
    rules: {
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/consistent-type-imports': 'error',
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'no-control-regex': 'off',
    },
  },
  {
    files: ['src/**/*.ts', 'plugins/**/*.ts'],
    ignores: ['**/*.test.ts', 'src/clock.ts'],
    rules: {
      'no-restricted-properties': ['error', ...REAL_TIME],
      'no-restricted-globals': ['error', ...TIMERS],
    },
  },
);
