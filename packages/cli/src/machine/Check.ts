/**
 * What `fanout doctor` finds.
 */

/** One thing that was looked at. What is lacking costs something; what is broken has to be mended. */
export interface Check {
  readonly what: string
  readonly state: "ok" | "lacking" | "broken"
  readonly found: string
}

/** What is as it should be. */
export const ok = (what: string, found: string): Check => ({ what, state: "ok", found })

/** What would be better otherwise. */
export const lacking = (what: string, found: string): Check => ({ what, state: "lacking", found })

/** What has to be mended. */
export const broken = (what: string, found: string): Check => ({ what, state: "broken", found })
