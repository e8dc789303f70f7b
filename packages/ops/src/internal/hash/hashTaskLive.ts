/**
 * Handlers of the tasks `HashFiles` and `CheckFiles`.
 */
import type * as Task from "@fanout/core/Task"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import * as Num from "effect/Number"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import { QuickFiles, type Sides, type Where } from "../files/quickFiles.ts"
import { unlessGone } from "../work/diskPause.ts"
import * as ProtectedFiles from "../work/protectedFiles.ts"
import { unlessLimited } from "../work/readingRate.ts"
import { share } from "../work/sharedWork.ts"
import { checkFiles, Elsewhere } from "./checkBatch.ts"
import { hashFiles } from "./hashBatch.ts"
import { type CheckedFiles, CheckFiles, countOf, HashFiles, ThreadTasks } from "./hashTask.ts"

type Payload = Task.Payload<typeof HashFiles>
type Checked = Task.Payload<typeof CheckFiles>

/** Of a file that is not there the disk may be gone. */
const hashThere = <E, R>(hashing: Effect.Effect<Task.Success<typeof HashFiles>, E, R>) =>
  unlessGone(hashing, (exit) => Exit.isSuccess(exit) && exit.value.unhashed.some(({ why }) => why._tag !== "Alone"))

const handlers = Effect.map(ProtectedFiles.leaving, (leaving) => ({
  hash: ({ leaveOut = [], ...files }: Payload) => leaving(leaveOut, hashFiles(files)),
  check: (payload: Checked) => leaving(payload.leaveOut ?? [], checkFiles(payload))
}))

/** Layer that supplies the handlers. */
export const layer: Layer.Layer<Task.Handler<typeof HashFiles | typeof CheckFiles>, never, Files.Files> = ThreadTasks
  .toLayer(Effect.map(handlers, ({ check, hash }) => ({
    [HashFiles._tag]: (payload: Payload) => hashThere(hash(payload)),
    [CheckFiles._tag]: (payload: Checked) => unlessGone(check(payload), Exit.isFailure)
  })))

const quickFiles = ({ paths }: Where) => QuickFiles.use(({ throughout }) => throughout(paths))

class Hashes extends RpcGroup.make(HashFiles) {}
class Checks extends RpcGroup.make(CheckFiles) {}

/**
 * Layer that hashes files under these real paths here, where that is quick, and has others help once there is much of
 * it. They are started only then: that takes as long as some thousand small files.
 */
export const layerShared = <E>(
  others: Sides<typeof HashFiles, E>,
  where: Where
): Layer.Layer<Task.Handler<typeof HashFiles>, never, Files.Files> =>
  Hashes.toLayer(Effect.gen(function*() {
    const { hash } = yield* handlers
    const bytesOf = ({ sizesBytes }: Task.Success<typeof HashFiles>): number => Num.sumAll(sizesBytes)
    const shared = yield* share(HashFiles, others, { ...where, quick: yield* quickFiles(where), bytesOf })
    return {
      [HashFiles._tag]: (payload: Payload) => {
        const piece = {
          key: payload,
          payload,
          files: countOf(payload),
          bytes: payload.sizeBytes,
          work: () => hash(payload)
        }
        return hashThere(unlessLimited(shared(piece), hash(payload), bytesOf))
      }
    }
  }))

/** What leads out of a folder. */
const upwards = /(^|\/)\.\.(\/|$)/

/**
 * The same with files that are to have digests. Those that are not under these paths are for others from the beginning.
 */
export const layerSharedChecks = <E>(
  others: Sides<typeof CheckFiles, E>,
  where: Where
): Layer.Layer<Task.Handler<typeof CheckFiles>, never, Files.Files> =>
  Checks.toLayer(Effect.gen(function*() {
    const { check } = yield* handlers
    const files = yield* Files.Files
    const bytesOf = (checked: CheckedFiles): number => Num.sumAll(checked.map((file) => file?.sizeBytes ?? 0))
    const shared = yield* share(CheckFiles, others, { ...where, quick: yield* quickFiles(where), bytesOf })
    const isWithin = ({ paths, root }: Checked): boolean =>
      paths.every((path) =>
        !upwards.test(path) && where.paths.some((one) => FilePath.isWithin(FilePath.join(root, path), one))
      )
    return {
      [CheckFiles._tag]: (payload: Checked) => {
        const mayBeSlow = !isWithin(payload)
        const work = () => Effect.provideService(check(payload), Elsewhere, files)
        const piece = { key: payload, payload, files: payload.paths.length, work, mayBeSlow }
        return unlessGone(unlessLimited(shared(piece), check(payload), bytesOf), Exit.isFailure)
      }
    }
  }))
