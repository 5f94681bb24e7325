/** Small schema shapes that the parts of the configuration language share. */
import Type, { type TSchema } from 'typebox';

export const object = <Properties extends Record<string, TSchema>>(properties: Properties, description?: string) =>
  Type.Object(properties, { additionalProperties: false, ...(description === undefined ? {} : { description }) });

/** An object whose keys all have defaults, so that leaving it out means "as the defaults say". */
export const settings = <Properties extends Record<string, TSchema>>(properties: Properties, description: string) =>
  Type.Object(properties, { additionalProperties: false, description, default: {} });

export const oneOrMany = <Item extends TSchema>(item: Item, description: string) =>
  Type.Union([item, Type.Array(item, { minItems: 1 })], { description });

export const Text = (description: string) => Type.String({ minLength: 1, description });
/** What may name a pool or a route. */
export const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

export const Name = (description: string) =>
  Type.String({ pattern: NAME.source, maxLength: 128, title: 'name', examples: ['orders'], description });
export const Port = (description: string) => Type.Integer({ minimum: 0, maximum: 65535, description });

export const TextPattern = object({
  regex: Text('A regular expression (RE2 syntax: linear time, no backreferences).'),
});
