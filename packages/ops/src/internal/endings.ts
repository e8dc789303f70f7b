/**
 * Endings of elements that their source knows by itself.
 */
import type { Outcome } from "@fanout/core/Outcome"
import type * as FileTree from "../FileTree.ts"
import { SkipReason } from "../SkipReason.ts"

export const skippedAs = (reason: string): Outcome => ({ _tag: "Skipped", reason, count: 1 })

export const failedAs = (code: string, message: string): Outcome => ({
  _tag: "Failed",
  failure: { _tag: "Error", error: { code }, message }
})

type Unreadable = Extract<FileTree.Element, { readonly _tag: "Unreadable" }>

/** How a folder, or a source, ends that can't be looked into. */
export const ofUnreadable = ({ error: { code, isMissing, message }, path }: Unreadable): Outcome =>
  isMissing && path !== "" ? skippedAs(SkipReason.Vanished) : failedAs(code, message)
