/**
 * Moves things to the trash of the desktop, from where a person can take them back.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as FilePath from "./FilePath.ts"

/**
 * Error of something that did not get into the trash.
 *
 * @category errors
 */
export class TrashFailed extends Schema.TaggedError<TrashFailed>("@fanout/ops/Trash/TrashFailed")("TrashFailed", {
  path: FilePath.FilePath,
  why: Schema.String
}) {
  override get message(): string {
    return `"${FilePath.display(this.path)}" could not be moved to the trash: ${this.why}`
  }
}

/**
 * Service that knows the trash.
 *
 * @category services
 */
export class Trash extends Context.Service<Trash, {
  /** Moves what is at a real path to the trash; a link itself. */
  readonly trash: (path: FilePath.FilePath) => Effect.Effect<void, TrashFailed>
}>()("@fanout/ops/Trash") {}

/**
 * Layer that keeps to the conventions of the desktop: on Linux those of freedesktop.org, with a trash for each device.
 *
 * **Gotchas**
 *
 * It goes by path, and takes only names that are UTF-8.
 *
 * @category layers
 */
export const layer: Layer.Layer<Trash> = Layer.succeed(Trash, {
  trash: Effect.fnUntraced(function*(path) {
    if (!path.isWellFormed()) return yield* new TrashFailed({ path, why: "its name is not UTF-8" })
    yield* Effect.tryPromise({
      // It is loaded only by who needs it. Names are no patterns.
      try: async () => {
        const { default: trash } = await import("trash")
        await trash(path, { glob: false })
      },
      catch: (error) => new TrashFailed({ path, why: error instanceof Error ? error.message : String(error) })
    })
  })
})
