/** Where consumers are kept: files of the configuration, or a store that several gateways share. */

/** As it is written, with what it does not say left out. */
export interface WrittenConsumer {
  readonly name: string;
  readonly groups?: readonly string[];
  readonly apiKeys?: readonly { readonly id?: string; readonly sha256: string; readonly expires?: string }[];
  readonly basic?: readonly { readonly username: string; readonly password: string; readonly expires?: string }[];
  readonly jwt?: readonly object[];
  readonly certificates?: readonly object[];
  readonly signatureKeys?: readonly object[];
}

/** One consumer that is there, to be changed and saved. */
export interface ConsumerRecord {
  readonly consumer: WrittenConsumer;
  /** For people. */
  readonly place: string;
  append(list: 'apiKeys' | 'basic', item: object): void;
  remove(list: 'apiKeys' | 'basic', index: number): void;
  /** Whole or not at all. */
  save(): Promise<void>;
  delete(): Promise<void>;
}

export interface ConsumerHome {
  create(consumer: WrittenConsumer): Promise<void>;
  all(): Promise<readonly ConsumerRecord[]>;
  close?(): Promise<void>;
}
