/**
 * Deletes objects: as many by one request as the store takes, in the order of their keys. A key need not be a path.
 */
import type * as FanOut from "@fanout/core/FanOut"
import * as Interrupter from "@fanout/core/Interrupter"
import * as Lease from "@fanout/core/Lease"
import * as Progress from "@fanout/core/Progress"
import * as Source from "@fanout/core/Source"
import * as Task from "@fanout/core/Task"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { Payload } from "../../Delete.ts"
import { DeleteError, Reason } from "../../DeleteError.ts"
import type { Entry } from "../../DeletePreview.ts"
import * as FilePath from "../../FilePath.ts"
import * as Filter from "../../Filter.ts"
import { formatAddress, type ObjectStoreError, ObjectStores, parseAddress } from "../../ObjectStore.ts"
import { removedUnits } from "../../ProgressUnits.ts"
import { listAfter } from "../cloud/prefixListing.ts"
import { type DeleteRoot, isObject } from "../delete/deleteRoot.ts"
import { DeleteFailed } from "../delete/deleteTask.ts"
import { ObjectDeletion } from "../delete/objectDeletion.ts"
import { failedAs } from "../tree/elementOutcomes.ts"
import { pauseNameOf, pauseOn } from "../work/diskPause.ts"
import * as ElementCount from "../work/elementCount.ts"
import { failureOf, type ObjectPlace, patiently, type Places, placesIn } from "./objectAccess.ts"
import { errorIn, tried } from "./objectReach.ts"
import { pausing } from "./objectTree.ts"

const Unremoved = Schema.Struct({ name: Schema.String, code: Schema.String, why: Schema.String })

/** The task that removes objects by one request. What can't be removed of them is told, and does not fail it. */
const DeleteObjects = Task.make("@fanout/ops/DeleteObjects", {
  payload: {
    root: FilePath.FilePath,
    /** What stands behind the address of the root; only an empty name where that is the address of an object. */
    names: Schema.Array(Schema.String)
  },
  success: Schema.TaggedStruct("Batch", { unremoved: Schema.Array(Unremoved) }),
  error: DeleteFailed,
  key: ({ names: [name = ""], root }) => FilePath.printable(root + name),
  pool: "io"
})

type Batch = Task.Payload<typeof DeleteObjects>

class Tasks extends RpcGroup.make(DeleteObjects) {}

/** Requests at the same time: stores that take a thousand keys by each refuse many more. */
const mostBatches = 8

const isOfAll = ({ reason }: ObjectStoreError): boolean => pauseNameOf(reason._tag) !== undefined

/** Removes objects, and tells which it could not. What may be over soon is tried again, for those that are left. */
const remove = (at: Places) =>
  Effect.fnUntraced(function*({ names, root }: Batch) {
    yield* Interrupter.check
    yield* Lease.check
    const failed = ({ message, reason: { _tag } }: ObjectStoreError) =>
      new DeleteFailed({ code: _tag, path: root, why: message })
    const { key: base, store } = yield* Effect.mapError(at(root), failed)
    const unremoved = names.filter((name) => !name.isWellFormed()).map((name) => ({
      name,
      code: "NotUTF8",
      why: "Its key is not UTF-8, so no request can name it: remove it by means of the store's own"
    }))
    let left: ReadonlySet<string> = new Set(names.filter((name) => name.isWellFormed()))
    const removeLeft = Effect.gen(function*() {
      const errors = left.size === 0 ? [] : yield* store.remove(Array.from(left, (name) => base + name))
      const nameOf = ({ address: { key } }: ObjectStoreError) => key.slice(base.length)
      // One that names none of them is of them all.
      const other = errors.find((error) => !left.has(nameOf(error)))
      if (other !== undefined) return yield* other
      for (const error of errors) {
        if (!isOfAll(error)) unremoved.push({ name: nameOf(error), code: error.reason._tag, why: error.message })
      }
      const again = errors.filter(isOfAll)
      left = new Set(again.map(nameOf))
      const [first] = again
      if (first !== undefined) return yield* first
    })
    const removed = Effect.mapError(patiently(removeLeft), failed)
    const { alone, exit } = yield* tried(at, [root], removed, errorIn((error) => error instanceof DeleteFailed))
    if (alone === undefined) yield* exit
    else for (const name of left) unremoved.push({ name, code: "ObjectFailed", why: alone.why })
    yield* Progress.add(removedUnits.files, names.length - unremoved.length)
    return { _tag: "Batch" as const, unremoved }
  })

const Cursor = Schema.fromJsonString(Schema.Tuple([Schema.Natural, Schema.String]))
const cursorOf = Schema.encodeSync(Cursor)
const readCursor = Schema.decodeSync(Cursor)

/** Each that could not be removed is told by itself. All are tried by themselves where one request for them failed. */
const parts: FanOut.Parts<Batch, Task.Success<typeof DeleteObjects>> = (
  { cursor, payload: { names, root } },
  value
) => {
  const [index] = readCursor(cursor)
  const payload = (name: string) => ({ root, names: [name] })
  if (Option.isNone(value)) {
    return names.length === 1 ? undefined : names.map((name) => Source.item(cursorOf([index, name]), payload(name)))
  }
  const { unremoved } = value.value
  return unremoved.length === 0 ?
    undefined :
    unremoved.map(({ code, name, why }) =>
      Source.settled(cursorOf([index, name]), {
        key: FilePath.printable(root + name),
        outcome: failedAs(code, why),
        retry: { payload: payload(name) }
      })
    )
}

const rootsOf = ({ roots }: Payload): ReadonlyArray<DeleteRoot> => roots.filter(isObject)

/** Names of keys that no file has: what is empty, `.` or `..` between slashes, and NUL. */
const impossible = /(?<=^|\/)(?:\.{0,2}(?=\/)|\.{1,2}$)|\0/g

/** Tells by the names behind a root whether rules leave out an object, or a folder that it would be in. */
const leavingOut = ({ request: { rules = [] } }: Payload) => {
  if (rules.length === 0) return () => false
  const isLeftOut = Filter.make(rules)
  return (name: string): boolean => {
    // Rules are about paths. No other name stands for an impossible one, so x//b is not taken for x/b.
    const path = FilePath.make(name.replace(impossible, "\u2400"))
    for (let end = path.indexOf("/"); end >= 0; end = path.indexOf("/", end + 1)) {
      if (isLeftOut(FilePath.make(path.slice(0, end)), true)) return true
    }
    return path !== "" && !path.endsWith("/") && isLeftOut(path, false)
  }
}

/** Names behind a root, in the order of keys, from behind one of them on. An object is behind its own address. */
const namesBelow = (
  { key: base, store }: ObjectPlace,
  { kind }: DeleteRoot,
  after?: string
): Stream.Stream<string, ObjectStoreError> => {
  if (kind === "object") return after === undefined ? Stream.succeed("") : Stream.empty
  return Stream.map(listAfter(store, base, after), ({ key }) => key.slice(base.length))
}

/** What is removed by one request. */
interface Met extends Batch {
  readonly cursor: string
}

/** What there is to remove, behind a cursor. */
const batches = (
  at: Places,
  payload: Payload,
  after: Option.Option<string>
): Stream.Stream<Met, ObjectStoreError> => {
  const [first, last] = Option.match(after, { onNone: () => [0, undefined] as const, onSome: readCursor })
  const isLeftOut = leavingOut(payload)
  return Stream.flatMap(
    Stream.fromIterable(rootsOf(payload).slice(first).entries()),
    ([offset, root]) =>
      Stream.unwrap(
        Effect.map(at(root.path), (place) =>
          namesBelow(place, root, offset === 0 ? last : undefined).pipe(
            Stream.filter((name) => !isLeftOut(name)),
            Stream.grouped(place.store.capabilities.limits.removedKeys),
            Stream.map((names) => ({
              root: root.path,
              names,
              cursor: cursorOf([first + offset, names[names.length - 1] ?? ""])
            }))
          ))
      )
  )
}

const deletion = (at: Places, payload: Payload) => {
  const met = new ElementCount.Met<Met>(({ names }) => ({ [removedUnits.files]: names.length }))
  const source = (after: Option.Option<string>) =>
    Stream.map(
      met.noting(pausing(batches(at, payload, after)), after),
      ({ cursor, ...batch }) => Source.item(cursor, batch)
    )
  return {
    // What can't be listed now is not counted.
    count: met.countAll((after) => Stream.catch(batches(at, payload, after), () => Stream.never)),
    remove: Effect.gen(function*() {
      const { fanOut } = yield* TaskDispatcher
      return yield* fanOut("objects", DeleteObjects, source, { concurrency: mostBatches, parts, pauseOn })
    }).pipe(Effect.provide(Tasks.toLayer({ [DeleteObjects._tag]: remove(at) })))
  }
}

const refused = (reason: Reason) => Effect.fail(new DeleteError({ reason }))

const find = Effect.fnUntraced(function*(
  at: Places,
  given: FilePath.FilePath
): Effect.fn.Return<DeleteRoot, DeleteError> {
  const address = parseAddress(given)
  if (Result.isFailure(address)) {
    return yield* refused(Reason.cases.Address.make({ why: address.failure.message.replace(/\.$/, "") }))
  }
  const { key, ...bucket } = address.success
  if (key === "") return yield* refused(Reason.cases.IsBucket.make({ path: given }))
  const root = (key: string, kind: DeleteRoot["kind"]) => ({
    path: FilePath.make(formatAddress({ ...bucket, key })),
    kind,
    identity: "",
    parent: ""
  })
  const look = Effect.gen(function*() {
    const { store } = yield* at(given)
    const isFolder = key.endsWith("/")
    if (!isFolder && Option.isSome(yield* store.head(key))) return root(key, "object")
    const prefix = isFolder ? key : `${key}/`
    const inside = yield* Stream.runHead(store.list(prefix))
    return Option.isSome(inside) ? root(prefix, "objects") : root(key, "missing")
  })
  return yield* Effect.catch(
    patiently(look),
    (error) => refused(Reason.cases.Inaccessible.make({ error: failureOf("lstat", given)(error) }))
  )
})

const entries = (at: Places, payload: Payload): Stream.Stream<Entry> => {
  const isLeftOut = leavingOut(payload)
  return Stream.flatMap(Stream.fromIterable(rootsOf(payload)), (root) => {
    const entry = (action: Entry["action"], name: string, why = ""): Entry => ({
      action,
      kind: "file",
      path: FilePath.make((root.path + name).replaceAll("\0", "\u2400")),
      why
    })
    const met = Stream.unwrap(Effect.map(at(root.path), (place) => namesBelow(place, root))).pipe(
      Stream.map((name) => isLeftOut(name) ? entry("Leave", name, "it is excluded") : entry("Delete", name))
    )
    return Stream.catch(met, ({ message }) => Stream.succeed(entry("Fail", "", message)))
  })
}

/** Layer that has deletions work with objects, too. */
export const layer: Layer.Layer<never, never, ObjectStores> = Layer.effect(
  ObjectDeletion,
  Effect.map(ObjectStores, (stores) => {
    const at = placesIn(stores)
    return {
      find: (address) => find(at, address),
      entries: (payload) => entries(at, payload),
      of: (payload) => deletion(at, payload)
    }
  })
)
