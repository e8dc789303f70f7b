/**
 * Tells how far a fan-out has come in the order of its source.
 *
 * An element that is plain done has no row. So the rows alone don't tell whether an element before them is still to
 * come. The checkpoint does: it has the last element that was taken, and all taken elements that are not settled.
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

/**
 * Position of a fan-out in its source.
 *
 * @category models
 */
export interface Frontier {
  /** Cursor of the last element that was taken from the source; `None` if no element was taken. */
  readonly last: Option.Option<string>

  /** Cursors of the elements that were taken and are not settled, in no particular order. */
  readonly unsettled: ReadonlyArray<string>
}

const Stored = Schema.Struct({
  main: Schema.Struct({ frontier: Schema.NullOr(Schema.String) }),
  entries: Schema.Array(Schema.Struct({ c: Schema.String })),
  brackets: Schema.Array(Schema.Struct({
    c: Schema.String,
    after: Schema.optionalKey(Schema.Struct({ c: Schema.String }))
  }))
})

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Stored))

/**
 * Reads the stored checkpoint of a fan-out. Returns `None` if the text is not such a checkpoint.
 *
 * **Gotchas**
 *
 * Read the checkpoint before the rows: an element that is settled by the checkpoint then has its row. While a job is
 * retried, the checkpoint does not include the elements that had failed. Elements that are skipped with their bracket
 * have no row before the end of the bracket. After a migration, the cursors are the old ones until the next flush.
 *
 * @category constructors
 */
export const fromCheckpoint = (checkpoint: string): Option.Option<Frontier> =>
  Option.map(decode(checkpoint), ({ brackets, entries, main }) => ({
    last: Option.fromNullOr(main.frontier),
    unsettled: [
      ...entries.map(({ c }) => c),
      ...brackets.flatMap(({ after }) => after === undefined ? [] : [after.c])
    ]
  }))
