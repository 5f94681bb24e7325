/** Runs before each test file, in the process that it shares with others. */
import { afterAll } from 'vitest';
import { endOfFile } from './cleanup.ts';

afterAll(endOfFile);
