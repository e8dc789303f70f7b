/**
 * Job: moves files and folders, durably.
 *
 * What is on the same file system gets another name, all of a source at once where nothing is in its place, unless the
 * checksums of its files are asked for. Anything else is copied, read back, flushed and recorded, and then removed
 * where it was, file by file. Whenever that is stopped, each file is whole in one of the two places at least. What goes
 * to an object store is there once that has answered.
 */
import * as Checkpoint from "@fanout/core/Checkpoint"
import * as Job from "@fanout/core/Job"
import type { JobContext } from "@fanout/core/JobContext"
import * as Progress from "@fanout/core/Progress"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Copy from "./Copy.ts"
import { ChecksumsUnwritten } from "./CopyChecksum.ts"
import * as CopyOptions from "./CopyOptions.ts"
import * as FilePath from "./FilePath.ts"
import type * as Files from "./Files.ts"
import type { HardLinks } from "./HardLinks.ts"
import * as CopyEntryLive from "./internal/copy/copyEntryLive.ts"
import * as AsideSources from "./internal/move/asideSources.ts"
import * as MovedSource from "./internal/move/movedSource.ts"
import * as CollidingNames from "./internal/path/collidingNames.ts"
import * as SavedCopy from "./internal/steps/savedCopy.ts"

/**
 * The job. Its payload is that of a copy, and so is its success.
 *
 * @category constructors
 */
export const job = Job.make("move", {
  payload: Copy.Payload,
  success: Progress.Tally,
  error: ChecksumsUnwritten,
  idempotencyKey: ({ request }) => JSON.stringify(request),
  exclusiveKey: ({ request: { destination, noTargetDirectory, sources } }) =>
    JSON.stringify([sources, destination, noTargetDirectory])
})

/**
 * How sources are moved that can't get another name: with all they have, unless the request says otherwise.
 *
 * @category accessors
 */
export const optionsOf = (
  { checksums, destination, preserve, rules = [], sources }: Copy.Request
): CopyOptions.CopyOptions => {
  const all = CopyOptions.Property.literals
  // Objects belong to nobody, and a store has what it has answered for.
  const areObjects = [...sources, destination].some(FilePath.isAddress)
  return {
    keeps: new Set(preserve ?? (areObjects ? all.filter((property) => property !== "owner") : all)),
    isDurable: true,
    // What a store copies itself does not pass here.
    isVerified: !(FilePath.isAddress(destination) && sources.some(FilePath.isAddress)),
    checksums: checksums?.algorithm,
    isFollowing: false,
    rules,
    isMove: true
  }
}

/** What became of each source, as far as that is known. */
const renames = Checkpoint.make("renames", Schema.Array(Schema.NullOr(SavedCopy.Root)))

/**
 * Gives whole sources their places by another name, as far as that can be: where nothing in there is to stay. Gives
 * which of them have theirs, and which have others in their places.
 */
const renameRoots = Effect.fnUntraced(
  function*({ leaveOut, request: { checksums, rules = [] }, transfers }: Copy.Payload) {
    // Only a later version of this could have stored another one.
    const stored = yield* Effect.catchTag(renames.get, "CheckpointUnreadable", Effect.die)
    const known = Array.from(Option.getOrElse(stored, () => []))
    const settled = new Map<number, "moved" | "replaced">()
    // Each file has its checksum told: one after the other is renamed then, and read.
    if (rules.length > 0 || checksums !== undefined) return settled
    const save = Effect.suspend(() => renames.save(Array.from(transfers, (_, index) => known[index] ?? null)))
    const twins = CollidingNames.find(() => transfers.map(({ target }) => target))
    for (const [index, { source, target }] of transfers.entries()) {
      if (FilePath.isAddress(source) || FilePath.isAddress(target)) continue
      // Which of them has the name is known once each has been looked at.
      if (twins.has(target)) continue
      if (leaveOut.some((path) => FilePath.isWithin(path, source) || FilePath.isWithin(path, target))) continue
      const note = (root: SavedCopy.Root) => {
        known[index] = root
        return save
      }
      const root = yield* MovedSource.renameRoot({ source, target }, known[index] ?? undefined, note)
      if (root !== "walked") settled.set(index, root)
      if (root !== "replaced") known[index] = root
    }
    if (known.length > 0) yield* save
    return settled
  }
)

/**
 * The job's program, for whoever gives it the handler of its task another way than by a layer.
 *
 * @category running
 */
export const program = (payload: Copy.Payload) => Copy.run(payload, optionsOf(payload.request), renameRoots(payload))

/**
 * Gives sources that were about to be removed their names again, and removes every temporary file under the targets
 * that is not under the sources.
 *
 * @category running
 */
export const onCancel = (
  payload: Copy.Payload,
  id: JobContext["Service"]["id"],
  saved: Job.Saved
): Effect.Effect<void, never, Files.Files> =>
  Effect.andThen(
    AsideSources.restoreAll(payload.transfers, id),
    // Targets may have sources in them, and in these what could not be given its name may be the only one by now.
    Copy.onCancel(payload, id, saved, payload.transfers.map(({ source }) => source))
  )

/**
 * Layer that supplies the job's program, and has fibers of this process move, on whatever `Files` there are.
 *
 * **When to use**
 *
 * Use for file systems of your own, in tests for one. On those of the machine `FileJobs.layer` is much faster.
 *
 * @category layers
 */
export const layer: Layer.Layer<Job.ToProgram<typeof job>, never, Files.Files | HardLinks> = job.toLayer(
  program,
  {
    onCancel
  }
).pipe(Layer.provide(CopyEntryLive.layer))
