/**
 * Handlers of the tasks `HashFiles` and `CheckFiles`.
 *
 * @since 0.1.0
 */
import type { Interrupted } from "@fanout/core/Interrupter"
import type * as Task from "@fanout/core/Task"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Num from "effect/Number"
import * as Option from "effect/Option"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as FilePath from "./FilePath.ts"
import * as Files from "./Files.ts"
import * as HashCache from "./HashCache.ts"
import { type CheckedFiles, CheckFiles, HashFiles, ThreadTasks } from "./HashTask.ts"
import { checkFiles, Elsewhere } from "./internal/checkFiles.ts"
import { Manners } from "./internal/fileHash.ts"
import { hashFiles, isLimited } from "./internal/hashFiles.ts"
import * as HugeContent from "./internal/hugeContent.ts"
import * as Much from "./internal/much.ts"
import { partOf, share } from "./internal/sharing.ts"
import * as ProtectedFiles from "./ProtectedFiles.ts"
import { type Others, QuickFiles } from "./QuickFiles.ts"

/** What the handlers take from where their layer is built. */
const context = Effect.gen(function*() {
  return Context.make(HashCache.HashCache, yield* HashCache.HashCache).pipe(
    Context.add(HugeContent.Limits, yield* HugeContent.Limits)
  )
})

/**
 * Layer that supplies the handlers.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Task.Handler<typeof HashFiles | typeof CheckFiles>, never, Files.Files> = ThreadTasks
  .toLayer(
    Effect.gen(function*() {
      const services = Context.add(yield* context, Files.Files, yield* Files.Files)
      const leaving = yield* ProtectedFiles.leaving
      return {
        [HashFiles._tag]: ({ leaveOut = [], ...files }: Payload) =>
          Effect.provideContext(leaving(leaveOut, hashFiles(files)), services),
        [CheckFiles._tag]: (payload: Task.Payload<typeof CheckFiles>) =>
          Effect.provideContext(leaving(payload.leaveOut ?? [], checkFiles(payload)), services)
      }
    })
  )

type Payload = Task.Payload<typeof HashFiles>
type Checked = Task.Payload<typeof CheckFiles>

const known = ({ folders, sizeBytes }: Payload): Much.Known => ({
  files: folders.reduce((sum, { names }) => sum + names.length, 0),
  bytes: sizeBytes
})

/**
 * Those who do what this thread does not.
 *
 * @category models
 * @since 0.1.0
 */
export interface Sides<T extends Task.Any, E> {
  /** Where this thread does its share. */
  readonly beside: Others<T, E>
  /** Where it does none, since calls may take long. */
  readonly alone: Others<T, E>
}

/**
 * Where this thread does its share, and when others help.
 *
 * @category models
 * @since 0.1.0
 */
export interface Where {
  /** Real paths that the files are under. */
  readonly paths: ReadonlyArray<FilePath.FilePath>
  /** After so much others are asked: 1 for 64 files, and 1 for 512 KiB or 0.7 ms more; 64 by default. */
  readonly startsAfter?: number
}

/** A piece of a task, and how it is done where it is to be done. */
interface Piece<T extends Task.Any> {
  /** The same object each time that this piece is tried. */
  readonly key: object
  readonly payload: Task.Payload<T>
  readonly known: Much.Known
  /** Whether all of it is under the paths. */
  readonly isWithin: boolean
  readonly work: Effect.Effect<Task.Success<T>, Task.Failure<T> | Interrupted, Files.Files>
  readonly leaveOut: ReadonlyArray<FilePath.FilePath> | undefined
}

/** Gives what does pieces of a task here, where that is quick, and has others help once there is much of it. */
const sharing = Effect.fnUntraced(function*<T extends Task.Any, E>(
  task: T,
  others: Sides<T, E>,
  { paths, startsAfter = 64 }: Where,
  bytesOf: (done: Task.Success<T>) => number
) {
  const files = yield* Files.Files
  const quick = Option.getOrUndefined(yield* (yield* QuickFiles).throughout(paths))
  const services = yield* context
  const much = yield* Much.make
  const polite = Context.add(services, Manners, Effect.yieldNow).pipe(Context.add(Elsewhere, files))
  const shared = yield* share(task, quick === undefined ? others.alone : others.beside, startsAfter)
  const leaving = yield* ProtectedFiles.leaving
  return Effect.fnUntraced(function*({ isWithin, key, known, leaveOut = [], payload, work }: Piece<T>) {
    const by = (files: Files.Files["Service"], having: typeof services) =>
      Effect.provideContext(leaving(leaveOut, work), Context.add(having, Files.Files, files))
    if (yield* isLimited) return yield* by(files, services)
    return yield* shared({
      key,
      weight: much.weightOf(known),
      part: partOf(Much.amountOf(known)),
      payload,
      quick: quick && isWithin ? much.timed(known, by(quick, polite), bytesOf) : undefined,
      slow: by(files, services)
    }).pipe(
      Effect.tap((done) => TaskDispatcher.throttle(bytesOf(done))),
      // Where a rate is set meanwhile, it is for the files that follow.
      Effect.provideService(TaskDispatcher.Current, Option.none())
    )
  })
})

class Hashes extends RpcGroup.make(HashFiles) {}
class Checks extends RpcGroup.make(CheckFiles) {}

/**
 * Layer that hashes files under these real paths here, where that is quick, and has others help once there is much of
 * it. They are started only then: that takes as long as some thousand small files.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerShared = <E>(
  others: Sides<typeof HashFiles, E>,
  where: Where
): Layer.Layer<Task.Handler<typeof HashFiles>, never, Files.Files> =>
  Hashes.toLayer(Effect.gen(function*() {
    const bytesOf = ({ sizesBytes }: Task.Success<typeof HashFiles>): number => Num.sumAll(sizesBytes)
    const shared = yield* sharing(HashFiles, others, where, bytesOf)
    return {
      [HashFiles._tag]: (payload: Payload) => {
        const { leaveOut, ...files } = payload
        return shared({
          key: payload,
          payload,
          known: known(payload),
          isWithin: true,
          work: hashFiles(files),
          leaveOut
        })
      }
    }
  }))

/** What leads out of a folder. */
const upwards = /(^|\/)\.\.(\/|$)/

/**
 * The same with files that are to have digests. Those that are not under these paths are for others from the beginning.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerSharedChecks = <E>(
  others: Sides<typeof CheckFiles, E>,
  where: Where
): Layer.Layer<Task.Handler<typeof CheckFiles>, never, Files.Files> =>
  Checks.toLayer(Effect.gen(function*() {
    const bytesOf = (checked: CheckedFiles): number => Num.sumAll(checked.map((file) => file?.sizeBytes ?? 0))
    const shared = yield* sharing(CheckFiles, others, where, bytesOf)
    const isWithin = ({ paths, root }: Checked): boolean =>
      paths.every((path) =>
        !upwards.test(path) && where.paths.some((one) => FilePath.isWithin(FilePath.join(root, path), one))
      )
    return {
      [CheckFiles._tag]: (payload: Checked) => {
        const { leaveOut, paths } = payload
        const known = { files: paths.length }
        return shared({
          key: payload,
          payload,
          known,
          isWithin: isWithin(payload),
          work: checkFiles(payload),
          leaveOut
        })
      }
    }
  }))
