/**
 * Reads what a copy is to keep of its sources beside their content.
 */
import type { Request } from "@fanout/ops/Copy"
import * as CopyOptions from "@fanout/ops/CopyOptions"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import * as Stop from "./Stop.ts"

/** `--preserve LIST` */
export const flag = (usual: string) =>
  Flag.String("preserve").pipe(
    Flag.withMetavar("LIST"),
    Flag.withDescription(
      "What to keep beside the content: mode, times, owner, links, xattr, sparse, with commas between them, or all " +
        `(default: ${usual})`
    ),
    Flag.optional
  )

/** What is to be kept, in one order, so that the same is the same request. */
export const resolve = (
  list: Option.Option<string>,
  usual: ReadonlyArray<CopyOptions.Property>
): Effect.Effect<Pick<Request, "preserve">, Stop.Stop> => {
  if (Option.isNone(list)) return Effect.succeed({})
  const names = list.value.split(",")
  const unknown = names.find((name) => name !== "all" && !CopyOptions.Property.literals.some((known) => known === name))
  if (unknown !== undefined) {
    return Stop.usage(
      `"${unknown}" is nothing to preserve. Give any of ${CopyOptions.Property.literals.join(", ")}, with commas ` +
        "between them, or all."
    )
  }
  const isKept = (name: CopyOptions.Property): boolean => names.includes("all") || names.includes(name)
  const preserve = CopyOptions.Property.literals.filter(isKept)
  return Effect.succeed(Equal.equals(preserve, usual) ? {} : { preserve })
}
