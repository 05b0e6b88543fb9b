// Package console walks through the web console with a headless Chromium: over a broker that is made up, where every scene is at hand, and over
// a live one whose group changes meanwhile. browser.mjs does the walking; playwright-core and axe-core are needed for the test only.
package console
