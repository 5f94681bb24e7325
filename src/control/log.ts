/** What the control plane needs of a logger: pino has it, a test's array of lines too. */
export interface ControlLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
