/**
 * Endings of elements that their source knows by itself.
 */
import type { Outcome } from "@fanout/core/Outcome"
import type { Element } from "@fanout/core/Source"
import type * as Schema from "effect/Schema"
import * as FilePath from "../../FilePath.ts"
import type { SpecialKind } from "../../Files.ts"
import { SkipReason } from "../../SkipReason.ts"
import type * as FileTree from "./fileTree.ts"

/** As many as were done together, in one row. */
export const done = (
  cursor: string,
  count: number,
  value: Schema.JsonObject & { readonly _tag: string }
): ReadonlyArray<Element<never>> =>
  count === 0 ? [] : [{ _tag: "Settled", cursor, key: "", outcome: { _tag: "Done", value, count } }]

export const skippedAs = (reason: string): Outcome => ({ _tag: "Skipped", reason, count: 1 })

export const failedAs = (code: string, message: string): Outcome => ({
  _tag: "Failed",
  failure: { _tag: "Error", error: { code }, message }
})

/** How a link ends that was named: it was to be followed. Those in folders are passed over. */
export const ofNamedLink = (path: FilePath.FilePath): Outcome =>
  failedAs("ENOLINK", `"${FilePath.display(path)}" is a link that leads to nothing that can be read`)

type Leaf = Extract<FileTree.Element, { readonly _tag: "Leaf" }>

/** Why a FIFO, a socket or a device fails that was named. */
export const whySpecial = (special: SpecialKind | undefined, verb: "copied" | "read"): string =>
  special === undefined ? `It can't be ${verb}: ${SkipReason.Special}` : `A ${special} can't be ${verb}`

/** How a FIFO, a socket or a device ends: those in folders are passed over. */
export const ofSpecial = ({ path, special }: Leaf, verb: "copied" | "read"): Outcome =>
  path === "" ? failedAs("Special", whySpecial(special, verb)) : skippedAs(SkipReason.Special)

type Unreadable = Extract<FileTree.Element, { readonly _tag: "Unreadable" }>

/** How a folder, or a source, ends that can't be looked into. */
export const ofUnreadable = ({ error: { code, isMissing, message }, path }: Unreadable): Outcome =>
  isMissing && path !== "" ? skippedAs(SkipReason.Vanished) : failedAs(code, message)
