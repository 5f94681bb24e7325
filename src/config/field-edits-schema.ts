/** How users write edits of header fields; data/fields.ts compiles them. */
import Type, { type Static } from 'typebox';

const Value = Type.String({ description: 'The value: visible ASCII, spaces and tabs.' });

export const FieldEditsSchema = Type.Object(
  {
    set: Type.Optional(
      Type.Record(Type.String(), Value, { description: 'Fields to have exactly this value, whatever was there.' }),
    ),
    add: Type.Optional(
      Type.Record(Type.String(), Type.Union([Value, Type.Array(Value, { minItems: 1 })]), {
        description: 'Fields to add to those that are there; a list adds one field for each value.',
      }),
    ),
    remove: Type.Optional(Type.Array(Type.String({ minLength: 1 }), { description: 'Fields to remove.' })),
  },
  { additionalProperties: false },
);

export const MessageFieldEditsSchema = Type.Object(
  {
    request: Type.Optional(FieldEditsSchema),
    response: Type.Optional(FieldEditsSchema),
  },
  {
    additionalProperties: false,
    description: 'Edits of header fields: of the request on its way to the upstream, of the answer on its way back.',
  },
);

export type FieldEditsConfig = Static<typeof FieldEditsSchema>;
export type MessageFieldEditsConfig = Static<typeof MessageFieldEditsSchema>;
