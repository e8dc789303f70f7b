/**
 * Handlers of the tasks `HashFiles` and `CheckFile`.
 *
 * @since 0.1.0
 */
import type * as Task from "@fanout/core/Task"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Num from "effect/Number"
import * as Option from "effect/Option"
import * as RpcGroup from "effect/rpc/RpcGroup"
import type { FilePath } from "./FilePath.ts"
import * as Files from "./Files.ts"
import * as HashCache from "./HashCache.ts"
import { CheckFile, HashFiles, ThreadTasks } from "./HashTask.ts"
import { checkFile } from "./internal/checkFile.ts"
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
export const layer: Layer.Layer<Task.Handler<typeof HashFiles | typeof CheckFile>, never, Files.Files> = ThreadTasks
  .toLayer(
    Effect.gen(function*() {
      const services = Context.add(yield* context, Files.Files, yield* Files.Files)
      const leaving = yield* ProtectedFiles.leaving
      return {
        [HashFiles._tag]: ({ leaveOut = [], ...files }: Payload) =>
          Effect.provideContext(leaving(leaveOut, hashFiles(files)), services),
        [CheckFile._tag]: (payload: Task.Payload<typeof CheckFile>) =>
          Effect.provideContext(leaving(payload.leaveOut ?? [], checkFile(payload)), services)
      }
    })
  )

type Payload = Task.Payload<typeof HashFiles>

const known = ({ folders, sizeBytes }: Payload): Much.Known => ({
  files: folders.reduce((sum, { names }) => sum + names.length, 0),
  bytes: sizeBytes
})

const bytesOf = ({ sizesBytes }: Task.Success<typeof HashFiles>): number => Num.sumAll(sizesBytes)

class Shared extends RpcGroup.make(HashFiles) {}

/**
 * Layer that hashes files under these real paths here, where that is quick, and has others help once there is much of
 * it. They are started only then: that takes as long as some thousand small files.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerShared = <E>(
  others: {
    /** Where this thread does its share. */
    readonly beside: Others<typeof HashFiles, E>
    /** Where it does none, since calls may take long. */
    readonly alone: Others<typeof HashFiles, E>
  },
  { paths, startsAfter = 64 }: {
    readonly paths: ReadonlyArray<FilePath>
    /** After so much others are asked: 1 for 64 files, and 1 for 512 KiB or 0.7 ms more; 64 by default. */
    readonly startsAfter?: number
  }
): Layer.Layer<Task.Handler<typeof HashFiles>, never, Files.Files> =>
  Shared.toLayer(Effect.gen(function*() {
    const files = yield* Files.Files
    const quick = Option.getOrUndefined(yield* (yield* QuickFiles).throughout(paths))
    const services = yield* context
    const much = yield* Much.make
    const polite = Context.add(services, Manners, Effect.yieldNow)
    const shared = yield* share(HashFiles, quick === undefined ? others.alone : others.beside, startsAfter)
    const leaving = yield* ProtectedFiles.leaving
    const hashBy = ({ leaveOut = [], ...named }: Payload, by: Files.Files["Service"], having: typeof services) =>
      Effect.provideContext(leaving(leaveOut, hashFiles(named)), Context.add(having, Files.Files, by))
    return {
      [HashFiles._tag]: Effect.fnUntraced(function*(payload: Payload) {
        if (yield* isLimited) return yield* hashBy(payload, files, services)
        const piece = known(payload)
        return yield* shared({
          key: payload,
          weight: much.weightOf(piece),
          part: partOf(Much.amountOf(piece)),
          payload,
          quick: quick && much.timed(piece, hashBy(payload, quick, polite), bytesOf),
          slow: hashBy(payload, files, services)
        }).pipe(
          Effect.tap((hashed) => TaskDispatcher.throttle(bytesOf(hashed))),
          // Where a rate is set meanwhile, it is for the files that follow.
          Effect.provideService(TaskDispatcher.Current, Option.none())
        )
      })
    }
  }))
