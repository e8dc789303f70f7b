/**
 * Tells how far a fan-out has come in the order of its source.
 *
 * What is plain done has no row, so rows alone do not say whether something before one of them is still to come. The
 * checkpoint does: it has the last element that was taken, and all that were taken and are not settled.
 *
 * @since 0.1.0
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

/**
 * How far a fan-out has come.
 *
 * @category models
 * @since 0.1.0
 */
export interface Frontier {
  /** Cursor of the last element that was taken from the source; `None` where none was. */
  readonly last: Option.Option<string>

  /** Cursors of what was taken and is not settled, in whatever order. */
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
 * Reads the checkpoint of a fan-out, as the store has it; `None` where it is none.
 *
 * **Gotchas**
 *
 * Read it before the rows: what is settled by the checkpoint has its row by then. While a job is retried it tells
 * nothing of the elements that had failed. What is skipped with its bracket has no row before the end of the bracket.
 * After a migration the cursors are those of the older version, until something is recorded.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromCheckpoint = (checkpoint: string): Option.Option<Frontier> =>
  Option.map(decode(checkpoint), ({ brackets, entries, main }) => ({
    last: Option.fromNullOr(main.frontier),
    unsettled: [
      ...entries.map(({ c }) => c),
      ...brackets.flatMap(({ after }) => after === undefined ? [] : [after.c])
    ]
  }))
