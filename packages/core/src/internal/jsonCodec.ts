/**
 * The JSON form of values that a store keeps.
 */
import * as Schema from "effect/Schema"

/**
 * Makes the codec between the type of a schema and JSON. `Schema.toCodecJson` leaves `Schema.Any` as it is, so the JSON
 * is checked as well: a bigint or a function in a value would otherwise fail whatever stores the value later.
 */
export const jsonCodec = <A>(schema: Schema.Codec<A, unknown>): Schema.Codec<A, Schema.Json> =>
  Schema.Json.pipe(Schema.decodeTo(Schema.toCodecJson(schema)))
